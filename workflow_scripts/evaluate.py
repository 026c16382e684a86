import pandas as pd

from swsa_core import confidence, evaluate, score_knn, store
from workflow_scripts._job import job

CANDIDATE_COLUMNS = ["candidate", "model", "n_parameters", "feature_size", "weights_sha256", "transform"]

with job(snakemake):
    dataset, config, options = snakemake.wildcards.dataset, snakemake.config, snakemake.config["evaluation"]
    index = store.read_table(snakemake.input.images, ["image_id"], text=["image_id", "path", "class", "split", "group"])
    scores = {}
    for path in snakemake.input.scores:
        of_candidate = score_knn.read(path)
        scores[of_candidate.attributes["candidate"]] = of_candidate
    aurocs = evaluate.evaluate(
        scores,
        index,
        config["datasets"][dataset],
        options["protocols"],
        options["settings"],
        options["hardest"],
        options["closest"],
        options["hardest_by"],
    )
    sureness = confidence.confidence(scores, dataset, config["seed"], options["protocols"], options["bootstrap"])
    described = [{name: one.attributes[name] for name in CANDIDATE_COLUMNS} for one in scores.values()]
    store.write_table(snakemake.output.auroc, aurocs, evaluate.COLUMNS)
    store.write_table(snakemake.output.confidence, sureness, confidence.COLUMNS)
    store.write_table(snakemake.output.candidates, pd.DataFrame(described), CANDIDATE_COLUMNS)
