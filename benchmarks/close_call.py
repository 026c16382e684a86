"""What it costs to give a close call to the cheapest candidate: its regret, and that of the best by synthetic anomalies.

    python benchmarks/selection.py --seeds 0 1 2
    python benchmarks/close_call.py

Of the kept study of benchmarks/selection.py, every close call of `swsa` is decided twice: as it is, and for the candidate that
takes the fewest milliseconds of those that cannot be told apart (`selection.close_call: cheapest`). These are measured
on this machine, on images of 500 x 500 pixels. Prints Markdown: the mean regret of both by the real AUROC, and what they take.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from swsa_core.candidates.backbone import load_backbone  # noqa: E402
from swsa_core.config.config import validate  # noqa: E402
from swsa_core.config.study import study  # noqa: E402
from swsa_core.detectors import HEADS  # noqa: E402
from swsa_core.detectors.cost import measured, of_candidates  # noqa: E402
from swsa_core.evaluation.evaluate import AUROC  # noqa: E402
from swsa_core.files import layout  # noqa: E402
from swsa_core.strategies.select import BETWEEN, SELECTION  # noqa: E402
from swsa_core.strategies.verdict import CLOSE  # noqa: E402

CONFIG = Path(__file__).with_name("selection.yaml")
SETTINGS = ("one_vs_rest", "one_vs_closest")
N_BANK = 30


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configfile", type=Path, default=CONFIG)
    arguments = parser.parse_args()
    planned = study(validate(yaml.safe_load(arguments.configfile.read_text(encoding="utf-8"))))
    ms = milliseconds(planned)
    kept = sorted((Path(planned.results) / "seeds").iterdir())
    rows = [row for place in kept for dataset in planned.datasets for row in close_calls(place / dataset, dataset, ms)]
    table = pd.DataFrame(rows, columns=["dataset", "setting", "best", "cheapest", "ms_best", "ms_cheapest"])
    print(
        "| setting | data set | close calls | regret of the best | of the cheapest | ms of the best | of the cheapest |"
    )
    print("|---|---|---|---|---|---|---|")
    for setting in SETTINGS:
        mine = table[table["setting"] == setting]
        for name, part in [*mine.groupby("dataset", sort=False), ("all", mine)]:
            means = part[["best", "cheapest", "ms_best", "ms_cheapest"]].mean()
            numbers = [f"{value:.4f}" for value in means[:2]] + [f"{value:.0f}" for value in means[2:]]
            print(f"| {setting} | {name} | {len(part)} | {' | '.join(numbers)} |")


def milliseconds(planned):
    """{candidate: median milliseconds of one image}."""
    generator, found = np.random.default_rng(0), []
    images = [generator.integers(0, 256, (500, 500, 3), dtype=np.uint8) for _ in range(3)]
    for slug, heads in planned.heads_of.items():
        grid = layout.grid_of(f"/{planned.grids[slug]}.") if slug in planned.grids else None
        settings = {
            head: {name: value_of(planned.config, leaf) for name, leaf in HEADS[head].settings.items()}
            for head in heads
        }
        backbone = load_backbone(planned.backbones[slug], "cpu", "float32", grid)
        found.append(measured(backbone, images, N_BANK, settings).assign(backbone=planned.backbones[slug]["name"]))
    costs = of_candidates(pd.concat(found, ignore_index=True), planned.leaves["groups"])
    return costs.set_index("candidate")["median_ms"]


def value_of(config, leaf):
    for step in leaf.split("."):
        config = config[step]
    return config


def close_calls(place, dataset, ms):
    """(data set, setting, regret of the best and of the cheapest, their milliseconds) of each close call."""
    selection, auroc = SELECTION.read(place / "selection.csv"), AUROC.read(place / "auroc.csv")
    real = auroc[(auroc["validation"] == "real") & auroc["candidate"].isin(ms.index)]
    real = real.set_index(["setting", "task", "candidate"])["auroc"]
    rows = selection.query("selection == 'model' and strategy == 'swsa' and protocol == 'leave_one_out'")
    for row in rows[(rows["verdict"] == CLOSE) & rows["setting"].isin(SETTINGS)].itertuples():
        of_task = real[row.setting, row.task]
        cheapest = ms[row.alike.split(BETWEEN)].idxmin()
        regrets = [of_task.max() - of_task[name] for name in (row.candidate, cheapest)]
        yield dataset, row.setting, *regrets, ms[row.candidate], ms[cheapest]


if __name__ == "__main__":
    main()
