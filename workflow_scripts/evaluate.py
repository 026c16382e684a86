from workflow_scripts.job import dataset_spec, job

from threadpoolctl import threadpool_limits

from swsa_core.basics.wording import plural
from swsa_core.candidates.licences import licence_of
from swsa_core.candidates.prompts import ENSEMBLE
from swsa_core.datasets import INDEX
from swsa_core.detectors import score_clip, score_knn
from swsa_core.detectors.scores import check_listed
from swsa_core.evaluation import confidence, consensus, evaluate, leaks
from swsa_core.report.tables import stack
from swsa_core.strategies import combinations, find
from workflow_scripts._budget import budget_of

# Arrays are small here, and no digit depends on how a BLAS splits a sum.
with job(snakemake) as mine, threadpool_limits(1):
    dataset, settings = snakemake.wildcards.dataset, mine.settings
    options, spec = settings["evaluation"], dataset_spec(settings)
    index = INDEX.read(snakemake.input.images)
    models = [score_knn.read(path, settings["source_order"]) for path in snakemake.input.models]
    for path, one in zip(snakemake.input.models, models, strict=True):
        check_listed(index, one.test["image_id"], one.attributes["skipped"], (snakemake.input.images, path), "test")
    if absent := [source for source in settings["source_order"] if source not in models[0].anomalies]:
        print(
            f"{dataset} goes without {', '.join(absent)}: it has one task, and no other tasks whose images are anomalies"
        )
    selections = {"model": {one.attributes["candidate"]: one for one in models}}
    for path in snakemake.input.prompts:
        selections["prompt"] = score_clip.read(path, settings["source_order"])
    if spec["on_bad_image"] == "error":
        for scores in selections.values():
            evaluate.check_complete(scores, index, dataset)
    dropped = {}
    if snakemake.input.leaks:
        found = leaks.LEAKS.read(snakemake.input.leaks[0])
        if spec["on_leak"] == "error":
            leaks.check_no_leaks(found, dataset)
        dropped = leaks.left_out(found)
        for task, n in leaks.without_normals(found, index, spec).items():
            print(
                f"task {task!r}: no normal test image is left after dropping {plural(n, 'copy', 'copies')} of training images: "
                "there are no real figures"
            )
    listed = settings["qualities"] if "qualities" in settings else ()  # noqa: SIM401  `get` refuses what is not tracked
    judges = {name: find(name).quality for name in listed}
    licences = {backbone["name"]: licence_of(backbone) for backbone in settings["backbones"].values()}
    licences |= settings.get("licences", {})
    aurocs, sureness, described, quality = {}, {}, {}, {}
    for selection, scores in selections.items():
        candidates = {name: one for name, one in scores.items() if name != ENSEMBLE}
        described[selection] = evaluate.described(candidates, licences)
        costs = snakemake.input.costs if selection == "model" else []  # prompts share one model
        aurocs[selection] = evaluate.evaluate(
            scores,
            index,
            spec,
            **{name: options[name] for name in ("protocols", "settings", "hardest", "closest", "hardest_by")},
            combinations=combinations(),
            left_out=dropped,
            budget=budget_of(settings, costs, described[selection]),
        )
        sureness[selection] = confidence.confidence(
            candidates,
            dataset,
            settings["seed"],
            options["protocols"],
            options["bootstrap"],
            threads=snakemake.threads,
        )
        quality[selection] = consensus.qualities(candidates, index, spec, judges, dropped)
    written = snakemake.output
    evaluate.AUROC.write(written.auroc, stack(aurocs, "selection"))
    confidence.CONFIDENCE.write(written.confidence, stack(sureness, "selection"))
    consensus.QUALITY.write(written.quality, stack(quality, "selection"))
    evaluate.CANDIDATES.write(written.candidates, stack(described, "selection"))
