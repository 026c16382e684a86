"""Whether the support-size curve holds: what it says of few images, against what more of them do.

    python benchmarks/selection.py --seeds 0
    python benchmarks/support_curve.py --start 10 --draws 10

For each task with at least twice `--start` normal images, of the kept study of benchmarks/selection.py, `--start` images are
drawn, several times, as if there were no others. The curve of these says whether more images would change the pick, or make it
better (swsa_core/report/support_curve.py). Then the selection with all images is made, and the pick of the few images is
compared with it: is it another one, and how much higher is the AUROC of the pick with all images, on the synthetic anomalies
and on the real test images (one-vs-rest). Each task is a study of its own. Prints Markdown.
"""

import argparse
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import yaml
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from swsa_core.anomalies import SOURCES  # noqa: E402
from swsa_core.basics.seeding import rng  # noqa: E402
from swsa_core.config.candidates import head_of  # noqa: E402
from swsa_core.config.config import validate  # noqa: E402
from swsa_core.config.study import study  # noqa: E402
from swsa_core.detectors import HEADS, score_knn  # noqa: E402
from swsa_core.detectors.scores import Anomalies  # noqa: E402
from swsa_core.detectors.subsets import redrawn  # noqa: E402
from swsa_core.evaluation.evaluate import AUROC, CANDIDATES  # noqa: E402
from swsa_core.evaluation.known import UNLIMITED  # noqa: E402
from swsa_core.files import layout  # noqa: E402
from swsa_core.files.support import read_task_supports  # noqa: E402
from swsa_core.report.support_curve import points_of, told  # noqa: E402
from swsa_core.strategies.support_curve import auroc_of, selected, subset, support_curve  # noqa: E402
from workflow_scripts._score import read_embeddings  # noqa: E402

CONFIG = Path(__file__).with_name("selection.yaml")
STRATEGIES = ["swsa"]
FEWEST = 5  # k, and the parents of an anomaly
SAID = ("no sign that more would change it", "no sign that they would make it better", "would probably help")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configfile", type=Path, default=CONFIG)
    parser.add_argument("--start", type=int, default=10)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--datasets", nargs="+")
    parser.add_argument("--tasks", type=int, default=10, help="of each data set at most")
    arguments = parser.parse_args()
    planned = study(validate(yaml.safe_load(arguments.configfile.read_text(encoding="utf-8"))))
    with threadpool_limits(1):
        rows = [
            row
            for dataset in arguments.datasets or planned.datasets
            for row in of_dataset(planned, dataset, arguments.start, arguments.draws, arguments.tasks)
        ]
    table = pd.DataFrame(rows, columns=["dataset", "task", "said", "changed", "synthetic", "real"])
    print("| data set | more images | draws | pick is another one | synthetic AUROC gained | real AUROC gained |")
    print("|---|---|---|---|---|---|")
    for (dataset, said), part in table.groupby(["dataset", "said"], sort=False):
        cells = [dataset, said, len(part), f"{part['changed'].mean():.2f}"]
        print(f"| {' | '.join(map(str, [*cells, *(f'{part[key].mean():.4f}' for key in ('synthetic', 'real'))]))} |")


def of_dataset(planned, dataset, start, draws, most):
    """A row for each task and draw: (data set, task, what the curve said, changed, synthetic and real AUROC gained)."""
    place = partial(layout.at, planned.results, dataset=dataset)
    candidates = CANDIDATES.read(place("candidates")).query("selection == 'model'")
    auroc = AUROC.read(place("auroc")).query(
        "validation == 'real' and setting == 'one_vs_rest' and selection == 'model'"
    )
    real = auroc.set_index(["task", "candidate"])["auroc"]
    paths = [place("support", task=slug) for slug in planned.tasks[dataset]]
    known = read_candidates(planned, dataset, paths)
    for support in [one for one in read_task_supports(paths) if len(one["paths"]) >= 2 * start][:most]:
        task, functions = support["task"], of_task(known, support, dataset)
        whole = selected(functions, [support], candidates, STRATEGIES, dataset, 0, UNLIMITED)
        best, source = whole.names[task][0], whole.sources[task]
        for draw in range(draws):
            few = subset(support, start, rng(0, dataset, task, f"benchmark {draw}"))
            curve = support_curve(functions, [few], candidates, STRATEGIES, dataset, draw, FEWEST)
            sentence = told(points_of(curve), least=0)
            said = next(words for words in SAID if words in sentence)
            pick = curve["pick"].iloc[-1]
            with_all, with_few = (auroc_of(whole.scores, [name], task, source) for name in (best, pick))
            yield dataset, task, said, pick != best, with_all - with_few, real[task, best] - real[task, pick]
        print(f"{dataset}, {task}: done", file=sys.stderr, flush=True)


def read_candidates(planned, dataset, supports):
    """[(name, head, its settings, its scores, what it compares)] of all candidates; supports: paths."""
    embeddings, found = {}, []
    for slug, candidate in planned.candidates.items():
        head = HEADS[head_of(candidate)]
        key = planned.shared[slug], head.patches
        if key not in embeddings:
            embeddings[key] = read_embeddings(files_of(planned, dataset, *key), supports, head.patches)[0]
        path = layout.at(planned.results, "scores", dataset=dataset, candidate=slug)
        settings = {name: value_of(planned.config, leaf) for name, leaf in head.settings.items()}
        found.append((candidate["name"], head, settings, score_knn.read(path, planned.sources), embeddings[key]))
    return found


def of_task(known, support, dataset):
    """{candidate: function of `subsets.redrawn`} of one task alone, without the source that takes other tasks."""
    found = {}
    for name, head, settings, scores, embeddings in known:
        anomalies = {}
        for source in (source for source in scores.anomalies if not SOURCES[source].others):
            made = embeddings["anomalies"][source]
            mine = np.flatnonzero(made.tasks == support["task"])
            anomalies[source] = Anomalies(made.features[mine], made.tasks[mine], made.parents[mine])
        given = embeddings | {"supports": [support], "anomalies": anomalies}
        alone = replace(scores, anomalies={source: scores.anomalies[source] for source in anomalies})
        found[name] = redrawn(head, alone, given, settings, dataset)
    return found


def value_of(config, leaf):
    for step in leaf.split("."):
        config = config[step]
    return config


def files_of(planned, dataset, backbone, patches):
    """The files that heads compare, named as the inputs of the rules."""
    what, grid = ("patches", {"grid": planned.grids[backbone]}) if patches else ("features", {})
    place = lambda name, **fields: layout.at(planned.results, name, **fields)  # noqa: E731
    known = {"dataset": dataset, "backbone": backbone} | grid
    return SimpleNamespace(
        images=place("images", dataset=dataset),
        image_features=place(f"image_{what}", **known),
        support_features=place(f"support_{what}", **known),
        anomaly_features=[place(f"anomaly_{what}", **known, source=source) for source in planned.generated],
        pool_features=[place(f"pool_{what}", backbone=backbone, pool=pool, **grid) for pool in planned.pools],
        pool_rows=[place("pool_rows", dataset=dataset, pool=pool) for pool in planned.pools],
        nearest_features=[],
        nearest_rows=[],
        other_images=[place("other_images", dataset=dataset, source=one) for one in planned.others_of(dataset)],
    )


if __name__ == "__main__":
    main()
