from swsa_core.basics.seeding import rng
from swsa_core.detectors import score_knn
from swsa_core.evaluation import tsne
from swsa_core.evaluation.closest import closest_of_scores
from swsa_core.files import store
from workflow_scripts._score import read_embeddings
from workflow_scripts.job import dataset_spec, job

with job(snakemake) as mine:
    dataset, settings = snakemake.wildcards.dataset, mine.settings
    index = store.read_table(snakemake.input.images, ["image_id"], text=["image_id", "path", "class", "split", "group"])
    embeddings, _ = read_embeddings(snakemake.input)
    (support,) = embeddings["supports"]
    task = support["task"]
    scores = score_knn.read(snakemake.input.scores)
    closest, real_ids = closest_of_scores(scores, index, dataset_spec(settings), task)
    groups = tsne.groups_of(
        support,
        embeddings["images"],
        embeddings["prepared"],
        embeddings["anomalies"],
        real_ids,
        settings["preparation"] == "original",
    )
    projected = tsne.project(groups, task, closest, rng(settings["seed"], dataset, task, "tsne"))
    store.write_table(snakemake.output[0], projected, tsne.COLUMNS)
