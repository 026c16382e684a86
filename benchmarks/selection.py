"""Which rule of selection is worth trusting: every rule on real data sets, with the choice made on all of them but one.

    python benchmarks/selection.py --seeds 0 1 2 --cores 2

runs benchmarks/selection.yaml up to its selection once per seed (what a seed does not change is computed once), keeps each
seed's scores in <results>/seeds/, and prints Markdown: the mean real AUROC of every candidate; the regret of every strategy and
of every other rule that was tried, against the best single candidate of each task by its real AUROC, with 95 % intervals over
tasks; and the rule that is best on all data sets but one with its regret on that one. It expects data/ and weights/ as the
config has them. --folder NAME=PATH adds a data set that kind `folder` reads, and may be repeated; --only prints what was kept.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import label_free  # noqa: E402
from selection_kept import read  # noqa: E402
from selection_rules import regret, rules  # noqa: E402
from selection_tables import left_one_out, of_candidates, of_rules, of_small_pools, of_strategies  # noqa: E402

from swsa_core.config.config import validate  # noqa: E402
from swsa_core.config.study import study  # noqa: E402
from swsa_core.files import layout  # noqa: E402
from swsa_core.strategies.select import SELECTION  # noqa: E402

CONFIG = Path(__file__).with_name("selection.yaml")
KEPT = ("images", "auroc", "candidates", "selection")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--folder", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--configfile", type=Path, default=CONFIG)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--only", action="store_true", help="run nothing, print what was kept")
    arguments = parser.parse_args()
    raw = yaml.safe_load(arguments.configfile.read_text(encoding="utf-8"))
    for given in arguments.folder:
        name, _, root = given.partition("=")
        raw["datasets"][name] = {"kind": "folder", "root": root}
    config = validate(raw)
    if not arguments.only:
        make_random_network(config)
        for seed in arguments.seeds:
            run(raw, config, seed, arguments.cores)
    kept = Path(config["results"]) / "seeds"
    data = {
        name: [read(kept / str(seed) / name, config["datasets"][name], config) for seed in arguments.seeds]
        for name in config["datasets"]
    }
    print(f"# Seeds {', '.join(map(str, arguments.seeds))}\n")
    print(of_candidates(data))
    regrets = {rule: {name: regret(rule_of, seeds) for name, seeds in data.items()} for rule, rule_of in rules(config)}
    picked = {
        name: [SELECTION.read(kept / str(seed) / name / "selection.csv") for seed in arguments.seeds] for name in data
    }
    print(of_strategies(picked))
    print(of_rules(regrets))
    print(left_one_out(regrets))
    print(of_small_pools(data, config))


def make_random_network(config):
    """The network of random weights, where its file is not there."""
    for candidate in config["candidates"]:
        path = Path(candidate["weights"] or "")
        if candidate.get("known_bad") and path.suffix == ".safetensors" and not path.is_file():
            import timm
            import torch
            from safetensors.torch import save_file

            torch.manual_seed(0)
            network = timm.create_model(candidate["model"].partition(":")[2], pretrained=False)
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path)


def run(raw, config, seed, cores):
    """The study with a seed up to its selection; what the rules below need of it is copied."""
    results, planned = config["results"], study(config | {"seed": seed})
    Path(results).mkdir(parents=True, exist_ok=True)
    path = Path(results) / "selection_config.yaml"
    path.write_text(yaml.safe_dump(raw | {"seed": seed}), encoding="utf-8")
    targets = [layout.at(results, "selection", dataset=name) for name in config["datasets"]]
    command = ["snakemake", "--quiet", "--cores", str(cores), "--snakefile", str(ROOT / "Snakefile")]
    subprocess.run([sys.executable, "-m", *command, "--configfile", str(path), "--", *targets], check=True)
    for name in config["datasets"]:
        place = Path(results) / "seeds" / str(seed) / name
        (place / "scores").mkdir(parents=True, exist_ok=True)
        for table in KEPT:
            source = Path(layout.at(results, table, dataset=name))
            shutil.copy(source, place / source.name)
        for slug in planned.candidates:
            shutil.copy(layout.at(results, "scores", dataset=name, candidate=slug), place / "scores")
        label_free.of_dataset(planned, name).to_csv(place / "label_free.csv", index=False)


if __name__ == "__main__":
    main()
