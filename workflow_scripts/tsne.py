from workflow_scripts.job import dataset_spec, job

from swsa_core.basics.seeding import rng
from swsa_core.datasets import INDEX
from swsa_core.detectors import score_knn
from swsa_core.detectors.scores import check_listed
from swsa_core.evaluation import tsne
from swsa_core.evaluation.closest import closest_of_scores
from workflow_scripts._score import read_embeddings

with job(snakemake) as mine:
    dataset, settings = snakemake.wildcards.dataset, mine.settings
    index = INDEX.read(snakemake.input.images)
    embeddings, _ = read_embeddings(snakemake.input, snakemake.input.supports)
    (support,) = embeddings["supports"]
    task = support["task"]
    scores = score_knn.read(snakemake.input.scores)
    read_from = snakemake.input.images, snakemake.input.scores
    check_listed(index, scores.test["image_id"], scores.attributes["skipped"], read_from, "test")
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
    tsne.TSNE.write(snakemake.output[0], projected)
