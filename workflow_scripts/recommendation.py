from workflow_scripts.job import job

from swsa_core.detectors import score_knn
from swsa_core.detectors.cost import of_candidates
from swsa_core.evaluation.confidence import CONFIDENCE
from swsa_core.evaluation.evaluate import AUROC, CANDIDATES
from swsa_core.files.support import read_task_supports
from swsa_core.files.text import write_json, write_text
from swsa_core.report.read_tables import read_costs
from swsa_core.report.recommendation import markdown, over_limits, recommendation
from swsa_core.strategies.select import SELECTION
from swsa_core.strategies.support_curve import SUPPORT_CURVE

OF_MODELS = "selection == 'model'"

with job(snakemake) as mine:
    settings, given, dataset = mine.settings, snakemake.input, snakemake.wildcards.dataset
    candidates = CANDIDATES.read(given.candidates).query(OF_MODELS)
    n_parameters = candidates.set_index("candidate")["n_parameters"]
    costs = of_candidates(read_costs(given.costs), settings["groups"], settings["exposed"], n_parameters)
    left_out = settings.get("left_out", {})
    found = recommendation(
        dataset,
        settings["strategies"],
        SELECTION.read(given.selection).query(OF_MODELS),
        AUROC.read(given.auroc).query(OF_MODELS),
        CONFIDENCE.read(given.confidence).query(OF_MODELS),
        candidates[["candidate", "licence"]].merge(costs, on="candidate"),
        {
            one.attributes["candidate"]: one
            for one in (score_knn.read(p, settings["source_order"]) for p in given.scores)
        },
        read_task_supports(mine.of_every_task(given.supports)),
        SUPPORT_CURVE.read(given.curve[0]) if given.curve else None,
        left_out | over_limits(costs, settings.get("max_ms"), settings.get("max_mb")),
        settings["seed"],
        settings["bootstrap"],
    )
    write_json(snakemake.output.json, found)
    write_text(snakemake.output.markdown, markdown(found))
    for one in found["tasks"]:
        print(f"{dataset}, {one['task']}: {one['in_words']} {one['more_images']}")
