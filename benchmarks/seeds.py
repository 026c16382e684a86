"""The same study with several seeds: what changes in its tables when the support sets are drawn anew.

    python benchmarks/seeds.py --configfile benchmarks/real_images.yaml --seeds 0 1 2 --cores 2

runs the workflow up to its selection once per seed, in one directory of results (what a seed does not change is computed
once), keeps each seed's picks in <results>/seeds/, and prints two Markdown tables for each data set and setting: the share of
right picks and the mean real AUROC with the lowest and highest seed; and tables/strategies.md of the means over the seeds,
whose intervals are over tasks.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import pandas as pd
import yaml
from snakemake.utils import update_config

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from swsa_core.config.config import validate  # noqa: E402
from swsa_core.report import tables  # noqa: E402
from swsa_core.strategies import compare as strategies  # noqa: E402
from swsa_core.strategies.select import SELECTION  # noqa: E402

KEYS = ["selection", "dataset", "setting", "strategy", "protocol"]


def picks_of_seed(config, arguments, seed):
    """Rows of selection.csv of all data sets, after a run with this seed."""
    files = {name: f"{config['results']}/{name}/selection.csv" for name in config["datasets"]}
    command = ["snakemake", "--quiet", "--cores", str(arguments.cores), "--configfile", *arguments.configfile]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--config", f"seed={seed}", f"results={config['results']}"]
    subprocess.run([sys.executable, "-m", *command, "--", *files.values()], check=True)
    return tables.stack({name: SELECTION.read(path) for name, path in files.items()})


def over_seeds(picks):
    """Rows of KEYS, pick_rate and auroc with the lowest and highest seed. picks: rows with a column seed."""
    by_seed = pd.concat(tables.table1(rows).assign(seed=seed) for seed, rows in picks.groupby("seed"))
    figures = by_seed.groupby(KEYS, sort=False)[["pick_rate", "auroc"]].agg(["mean", "min", "max"])
    return figures.set_axis([f"{column}_{name}" for column, name in figures.columns], axis=1).reset_index()


def mean_over_seeds(picks):
    """Each task's mean over the seeds, as rows of selection.csv that `strategies.strategies` takes."""
    return picks.groupby([*KEYS, "task"], sort=False)[["right", "regret"]].mean().reset_index()


def markdown(figures):
    """The table of `over_seeds` as Markdown: a section for each selection, data set and setting."""
    blocks = []
    for (selection, dataset, setting), part in figures.groupby(["selection", "dataset", "setting"], sort=False):
        lines = ["| strategy | protocol | right picks | real AUROC |", "|---|---|---|---|"]
        lines += [
            f"| `{row.strategy}` | {row.protocol} | {row.pick_rate_mean:.3f} ({row.pick_rate_min:.3f} to "
            f"{row.pick_rate_max:.3f}) | {row.auroc_mean:.3f} ({row.auroc_min:.3f} to {row.auroc_max:.3f}) |"
            for row in part.itertuples()
        ]
        blocks.append("\n".join([f"## {dataset}, {selection} selection, {setting}", "", *lines]))
    return "\n\n".join(blocks)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configfile", nargs="+", required=True, help="a complete config, and any variants after it")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--results", help="directory of the results, instead of the one in the config")
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    merged = {}
    for path in arguments.configfile:
        update_config(merged, yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {})
    config = validate(merged | ({"results": arguments.results} if arguments.results else {}))
    kept = Path(config["results"]) / "seeds"
    found = []
    for seed in arguments.seeds:
        found.append(picks_of_seed(config, arguments, seed).assign(seed=seed))
        kept.mkdir(parents=True, exist_ok=True)
        found[-1].to_csv(kept / f"{seed}.csv", index=False)
    picks = pd.concat(found, ignore_index=True)
    judged = picks[picks["setting"] != ""]
    print(f"# Seeds {arguments.seeds}: means, in brackets the lowest and the highest seed\n")
    print(markdown(over_seeds(judged)), end="\n\n")
    print(strategies.markdown(strategies.strategies(mean_over_seeds(judged), config["seed"])))


if __name__ == "__main__":
    main()
