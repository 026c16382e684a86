from workflow_scripts.job import job, progress

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

from threadpoolctl import threadpool_limits

from swsa_core.datasets.support import most_left_out
from swsa_core.detectors import HEADS, score_knn
from swsa_core.detectors.subsets import redrawn
from swsa_core.evaluation.evaluate import described
from swsa_core.evaluation.protocols import LEADING
from swsa_core.files.support import read_task_supports
from swsa_core.strategies.support_curve import SUPPORT_CURVE, support_curve
from workflow_scripts._budget import budget_of
from workflow_scripts._score import read_embeddings


def compared(number: int, supports, patches: bool):
    """What the heads of one backbone compare; number: of the rule's inputs, see `embedded_files` of rules/inputs.smk."""
    prefix = f"_{number}_"
    files = {name.removeprefix(prefix): paths for name, paths in given.items() if name.startswith(prefix)}
    return read_embeddings(SimpleNamespace(images=given.images, **files), supports, patches)[0]


with job(snakemake) as mine, threadpool_limits(1):
    settings, given, dataset = mine.settings, snakemake.input, snakemake.wildcards.dataset
    groups = {name: (backbone, HEADS[head]) for name, (backbone, head) in settings["groups"].items()}
    heads = {name: head for name, (_, head) in settings["groups"].items()}
    numbers = list(dict.fromkeys((backbone, head.patches) for backbone, head in groups.values()))
    paths = mine.of_every_task(given.supports)
    supports = read_task_supports(paths)
    embeddings = {key: compared(number, paths, key[1]) for number, key in enumerate(numbers)}
    scores = [score_knn.read(path, settings["source_order"]) for path in given.scores]
    candidates = described({one.attributes["candidate"]: one for one in scores}, {})

    def of_candidate(one):
        name = one.attributes["candidate"]
        backbone, head = groups[name]
        arguments = {argument: settings[f"{heads[name]}.{argument}"] for argument in head.settings}
        return redrawn(head, one, embeddings[backbone, head.patches], arguments, dataset)

    with ThreadPoolExecutor(snakemake.threads) as pool:
        found = list(pool.map(of_candidate, scores))
        curve = support_curve(
            {one.attributes["candidate"]: scored for one, scored in zip(scores, found, strict=True)},
            supports,
            candidates,
            settings["strategies"],
            dataset,
            settings["seed"],
            settings["k"] + most_left_out(scores[0].anomalies, [LEADING]),
            budget_of(settings, given.costs, candidates),
            progress(f"{dataset}: selections with fewer images", "selections"),
        )
    SUPPORT_CURVE.write(snakemake.output[0], curve)
    print(f"{dataset}: {len(curve)} selections with fewer images")
