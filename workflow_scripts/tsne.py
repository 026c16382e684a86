from swsa_core import score_knn, store, tsne
from swsa_core.seeding import rng
from workflow_scripts._job import job
from workflow_scripts._score import read_embeddings

with job(snakemake):
    dataset, config = snakemake.wildcards.dataset, snakemake.config
    index = store.read_table(snakemake.input.images, ["image_id"], text=["image_id", "path", "class", "split", "group"])
    embeddings, _ = read_embeddings(snakemake.input)
    (support,) = embeddings["supports"]
    task = support["task"]
    scores = score_knn.read(snakemake.input.scores)
    closest, real_ids = tsne.closest_anomalies(scores, index, config["datasets"][dataset], task)
    groups = tsne.groups_of(
        support,
        embeddings["images"],
        embeddings["prepared"],
        embeddings["anomalies"],
        real_ids,
        config["preparation"] == "original",
    )
    projected = tsne.project(groups, task, closest, rng(config["seed"], dataset, task, "tsne"))
    store.write_table(snakemake.output[0], projected, tsne.COLUMNS)
