import pandas as pd

from swsa_core import confidence, consensus, evaluate, score_clip, score_knn, store
from swsa_core.detectors.prompts import ENSEMBLE
from swsa_core.tables import stack
from workflow_scripts._job import job

CANDIDATE_COLUMNS = ["candidate", "model", "n_parameters", "feature_size", "weights_sha256", "transform"]

with job(snakemake):
    dataset, config, options = snakemake.wildcards.dataset, snakemake.config, snakemake.config["evaluation"]
    index = store.read_table(snakemake.input.images, ["image_id"], text=["image_id", "path", "class", "split", "group"])
    models = [score_knn.read(path) for path in snakemake.input.models]
    selections = {"model": {one.attributes["candidate"]: one for one in models}}
    for path in snakemake.input.prompts:
        selections["prompt"] = score_clip.read(path)
    aurocs, sureness, described, quality = {}, {}, {}, {}
    for selection, scores in selections.items():
        aurocs[selection] = evaluate.evaluate(
            scores,
            index,
            config["datasets"][dataset],
            options["protocols"],
            options["settings"],
            options["hardest"],
            options["closest"],
            options["hardest_by"],
        )
        candidates = {name: one for name, one in scores.items() if name != ENSEMBLE}
        sureness[selection] = confidence.confidence(
            candidates, dataset, config["seed"], options["protocols"], options["bootstrap"]
        )
        quality[selection] = consensus.qualities(candidates, index, config["datasets"][dataset])
        described[selection] = pd.DataFrame(
            [{name: one.attributes[name] for name in CANDIDATE_COLUMNS} for one in candidates.values()]
        )
    written = snakemake.output
    store.write_table(written.auroc, stack(aurocs, "selection"), ["selection", *evaluate.COLUMNS])
    store.write_table(written.confidence, stack(sureness, "selection"), ["selection", *confidence.COLUMNS])
    store.write_table(written.quality, stack(quality, "selection"), ["selection", *consensus.COLUMNS])
    store.write_table(written.candidates, stack(described, "selection"), ["selection", *CANDIDATE_COLUMNS])
