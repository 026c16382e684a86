from workflow_scripts.job import job

from swsa_core.detectors import HEADS, score_knn
from swsa_core.detectors.scores import apart
from workflow_scripts._score import describe, read_embeddings

with job(snakemake) as mine:
    name = mine.stage.removeprefix("score_")
    head = HEADS[name]
    embeddings, backbone = read_embeddings(snakemake.input, mine.of_every_task(snakemake.input.supports), head.patches)
    settings = {argument: mine.settings[argument] for argument in head.settings}
    scores = head.score(**embeddings, **settings, dataset=snakemake.wildcards.dataset, threads=snakemake.threads)
    described = describe(backbone) | {"candidate": snakemake.params.candidate, "head": name}
    described["backbone"] = backbone["backbone"]
    score_knn.write(snakemake.output[0], apart(scores), described)
