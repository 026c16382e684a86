"""How the recommended detectors do on labelled images: real AUROC, and false alarms against those that were wanted.

    snakemake --cores 2 --configfile CONFIG -- detectors
    python benchmarks/service.py --configfile CONFIG

For each data set of a finished study it asks the detector of every task about the real test images, as `swsa_core.detect` does,
and prints Markdown: the mean real AUROC (one-vs-rest) beside that of the best candidate of each task, of the largest network,
of the mean candidate and of swsa_cutpaste; the share of normal test images that are alarms at 5 % and 10 %, and in how many
tasks their number lies in the 95 % interval that the level promises. A second table has the verdicts beside the truth.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import yaml
from scipy.stats import betabinom

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from swsa_core import datasets  # noqa: E402
from swsa_core.config.config import validate  # noqa: E402
from swsa_core.datasets import INDEX  # noqa: E402
from swsa_core.detect import load_detector  # noqa: E402
from swsa_core.detect.level import rank_of  # noqa: E402
from swsa_core.files import layout  # noqa: E402
from swsa_core.metrics import auroc  # noqa: E402
from swsa_core.strategies.select import SELECTION, judged  # noqa: E402

RATES = (0.05, 0.1)
OTHERS = ("best", "largest_model", "random", "swsa_cutpaste")
SETTING = "one_vs_rest"
NEAR = 0.01
VERDICTS = f"""| data set | verdict | tasks | within {NEAR} of the best | mean regret | largest |
|---|---|---|---|---|---|"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configfile", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    config = validate(yaml.safe_load(arguments.configfile.read_text(encoding="utf-8")))
    print(
        f"| data set | tasks | deployed | {' | '.join(OTHERS)} | false alarms at 5 %, 10 % | promised by | in the interval |"
    )
    print("|---" * (len(OTHERS) + 6) + "|")
    for name, spec in config["datasets"].items():
        print(row_of(name, spec, config["results"], arguments.threads), flush=True)
    print(f"\n{VERDICTS}")
    for name in config["datasets"]:
        print(*verdicts_of(name, config["results"]), sep="\n", flush=True)


def row_of(dataset, spec, results, threads):
    """One line of the table."""
    detector = load_detector(Path(layout.at(results, "detector", dataset=dataset)).parent)
    index = INDEX.read(layout.at(results, "images", dataset=dataset))
    test = index[index["split"] == "test"].reset_index(drop=True)
    seen = list(detector.see(test["path"].tolist(), list(detector.members), threads))
    aurocs, counts = [], {rate: [] for rate in RATES}
    for task, part in detector.parts.items():
        scores, p = (
            np.concatenate(values)
            for values in zip(*((one.scores, one.p) for one in answers(detector, part, seen)), strict=True)
        )
        rows, groups, normal = datasets.real_validation(test, spec, task)
        normals = np.asarray(rows)[np.asarray(groups) == normal]
        anomalous = np.asarray(rows)[np.asarray(groups) != normal]
        if len(anomalous) and len(normals):
            chosen = np.concatenate([normals, anomalous])
            aurocs.append(auroc(scores[chosen], np.arange(len(chosen)) >= len(normals)))
        for rate in RATES:
            counts[rate].append((int((p[normals] <= rate + 1e-9).sum()), len(normals), len(part.normals)))
    selection = SELECTION.read(layout.at(results, "selection", dataset=dataset)).query(
        "selection == 'model' and setting == @SETTING"
    )
    others = [
        f"{mean:.3f}"
        for mean in (
            selection[selection["strategy"] == one].drop_duplicates("task")["real_auroc"].mean() for one in OTHERS
        )
    ]
    shares = ", ".join(f"{sum(n for n, _, _ in of) / sum(m for _, m, _ in of):.3f}" for of in counts.values())
    promised = ", ".join(
        f"{np.mean([rank_of(n, rate) / (n + 1) for _, _, n in of]):.3f}" for rate, of in counts.items()
    )
    inside = ", ".join(
        f"{sum(map(within, *zip(*[(*one, rate) for one in of], strict=True)))} of {len(of)}"
        for rate, of in counts.items()
    )
    cells = [dataset, len(detector.parts), f"{np.mean(aurocs):.3f}", *others, shares, promised, inside]
    return f"| {' | '.join(map(str, cells))} |"


def verdicts_of(dataset, results):
    """Lines of the second table: for each verdict how far below the best candidate its picks really are."""
    selection = SELECTION.read(layout.at(results, "selection", dataset=dataset)).query(
        "selection == 'model' and setting == @SETTING"
    )
    for verdict, rows in judged(selection, ["swsa"]).groupby("verdict"):
        regret = rows["regret"]
        near = int((regret <= NEAR).sum())
        yield f"| {dataset} | {verdict} | {len(regret)} | {near} | {regret.mean():.3f} | {regret.max():.3f} |"


def answers(detector, part, seen):
    """What one task's detector says, batch by batch."""
    return [detector.scored(part, one) for one in seen]


def within(alarms, images, normals, rate):
    """Whether so many alarms among so many normal images are what the level of n normal images promises (95 %)."""
    rank = rank_of(normals, rate)
    if not rank:
        return alarms == 0
    law = betabinom(images, rank, normals + 1 - rank)
    return law.cdf(alarms) > 0.025 and law.sf(alarms - 1) > 0.025


if __name__ == "__main__":
    main()
