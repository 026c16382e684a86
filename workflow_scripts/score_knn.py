from swsa_core.detectors import score_knn
from workflow_scripts._score import describe, read_embeddings
from workflow_scripts.job import job

with job(snakemake) as mine:
    knn = mine.settings["knn"]
    embeddings, backbone = read_embeddings(snakemake.input)
    scores = score_knn.score_dataset(**embeddings, **knn, threads=snakemake.threads)
    described = describe(backbone) | {"candidate": backbone["backbone"], "k": knn["k"]}
    score_knn.write(snakemake.output[0], scores, described)
