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
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import label_free  # noqa: E402

from swsa_core.basics.seeding import rng  # noqa: E402
from swsa_core.config.config import validate  # noqa: E402
from swsa_core.config.study import study  # noqa: E402
from swsa_core.datasets import INDEX  # noqa: E402
from swsa_core.detectors import score_knn  # noqa: E402
from swsa_core.detectors.together import scale_of, together  # noqa: E402
from swsa_core.evaluation.evaluate import AUROC, CANDIDATES, real_wins  # noqa: E402
from swsa_core.evaluation.known import Budget  # noqa: E402
from swsa_core.evaluation.protocols import compare, normal_scores  # noqa: E402
from swsa_core.files import layout  # noqa: E402
from swsa_core.strategies.compare import bootstrap_over_tasks  # noqa: E402
from swsa_core.strategies.leading import leading_source  # noqa: E402
from swsa_core.strategies.select import SELECTION  # noqa: E402
from swsa_core.strategies.swsa_ensemble import highest  # noqa: E402

CONFIG = Path(__file__).with_name("selection.yaml")
KEPT = ("images", "auroc", "candidates", "selection")
SETTINGS = ("one_vs_rest", "one_vs_closest")
DESCRIPTORS = "descriptor:"


class Found(NamedTuple):
    """What one data set and seed have: arrays over its T tasks and c candidates."""

    names: list[str]
    backbones: list[str]
    heads: list[str]
    n_parameters: np.ndarray  # (c,)
    synthetic: dict[str, np.ndarray]  # {source: AUROC (T, c)}, leave one out
    label_free: dict[str, np.ndarray]  # {measure of benchmarks/label_free.py: (T, c)}
    real: dict[str, np.ndarray]  # {setting: AUROC (T, c)}
    combined: Callable[[list[list[int]]], dict[str, np.ndarray]]  # members of each task -> {setting: AUROC (T,)}


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


def read(place: Path, spec, config) -> Found:
    """What one data set and seed have."""
    described = CANDIDATES.read(place / "candidates.csv")
    described = described[described["selection"] == "model"]
    index = INDEX.read(place / "images.csv")
    of = {
        one.attributes["candidate"]: one
        for path in (place / "scores").glob("*.h5")
        for one in [score_knn.read(path, config["sources"])]
    }
    scores = {name: of[name] for name in described["candidate"]}
    first = next(iter(scores.values()))
    synthetic = {
        source: np.array(
            [
                [compare(one, task, source, "leave_one_out").wins.mean() for one in scores.values()]
                for task in first.tasks
            ]
        )
        for source in first.anomalies
    }
    auroc = AUROC.read(place / "auroc.csv")
    real = {}
    for setting in SETTINGS:
        rows = auroc[(auroc["validation"] == "real") & (auroc["setting"] == setting)]
        wide = rows.pivot(index="task", columns="candidate", values="auroc").reindex(
            index=first.tasks, columns=list(scores)
        )
        real[setting] = wide.to_numpy(float)
    measured = pd.read_csv(place / "label_free.csv", dtype={"task": str})
    normals = {task: np.stack([normal_scores(one, task) for one in scores.values()], 1) for task in first.tasks}

    def combined(members):
        """AUROC of the detectors of these members of each task."""
        known = [(normals[task], columns) for task, columns in zip(first.tasks, members, strict=True)]
        one = {"together": lambda found, of_task: together(found[:, of_task[1]], scale_of(of_task[0][:, of_task[1]]))}
        found = {setting: np.full(len(first.tasks), np.nan) for setting in SETTINGS}
        for t, wins in enumerate(real_wins(scores, index, spec, one, known=known)):
            if wins is not None:
                aurocs = wins.aurocs[:, -1]
                found["one_vs_rest"][t] = aurocs[0]
                found["one_vs_closest"][t] = aurocs[1:].min() if len(aurocs) > 1 else np.nan
        return found

    return Found(
        list(scores),
        described["backbone"].tolist(),
        described["head"].tolist(),
        described["n_parameters"].to_numpy(float),
        synthetic,
        {
            measure: measured.pivot(index="task", columns="candidate", values=measure)
            .reindex(index=first.tasks, columns=list(scores))
            .to_numpy(float)
            for measure in label_free.COLUMNS[2:]
        },
        real,
        combined,
    )


def rules(config) -> Iterator[tuple[str, Callable[[Found], dict[str, np.ndarray]]]]:
    """(name, function of `Found` to {setting: AUROC (T,)}) of every rule that is compared."""
    yield (
        "the best candidate of all tasks (knows the labels)",
        lambda one: single(one, np.nanmean(one.real["one_vs_rest"], 0)),
    )
    for head in ("knn", "cosine", "mahalanobis", "patch"):
        yield f"largest network, {head}", lambda one, head=head: single(one, largest(one, head))
        yield (
            f"all networks together, {head}",
            lambda one, head=head: one.combined(
                [
                    [
                        c
                        for c, found in enumerate(one.heads)
                        if found == head and not one.backbones[c].startswith(DESCRIPTORS)
                    ]
                ]
                * tasks_of(one)
            ),
        )
    yield "all candidates together", lambda one: one.combined([list(range(len(one.names)))] * tasks_of(one))
    for measure in label_free.COLUMNS[2:]:
        yield f"{measure}, of each task", lambda one, measure=measure: single(one, one.label_free[measure])
        yield (
            f"{measure}, mean over the tasks",
            lambda one, measure=measure: single(one, one.label_free[measure].mean(0)),
        )
    for source, over in product((*config["sources"], "leading", "mean of sources"), ("task", "mean", "shrunk")):
        yield (
            f"single: {source}, {over}",
            lambda one, source=source, over=over: single(one, evidence(one, source, over)),
        )
        for n, each in product((3, 4, 5), (1, 2, 4)):
            name = f"ensemble: {source}, {over}, top {n}, {each} of a backbone"
            yield (
                name,
                lambda one, source=source, over=over, n=n, each=each: one.combined(
                    [
                        highest(values, one.backbones, Budget(max_members=n), each)
                        for values in evidence(one, source, over)
                    ]
                ),
            )


def tasks_of(one):
    return len(next(iter(one.real.values())))


def largest(one, head):
    """(c,) parameters of the candidates with this head, NaN for others."""
    return np.where([found == head for found in one.heads], one.n_parameters, np.nan)


def evidence(one, source, over):
    """(T, c) what a source says: of the task, the mean over tasks, or the one shrunk towards the other (empirical Bayes)."""
    if source == "leading":
        source = leading_source(one.synthetic)
    if source == "mean of sources":
        aurocs = np.mean(list(one.synthetic.values()), axis=0)
    else:  # a data set with one task has no other tasks: its leading source then
        aurocs = one.synthetic.get(source, one.synthetic[leading_source(one.synthetic)])
    mean = np.broadcast_to(aurocs.mean(0), aurocs.shape)
    if over == "mean" or len(aurocs) < 2:
        return mean if over == "mean" else aurocs
    if over == "task":
        return aurocs
    centred = aurocs - aurocs.mean(1, keepdims=True)
    within = aurocs.mean(1, keepdims=True) * (1 - aurocs.mean(1, keepdims=True)) / 25  # of so many anomalies
    between = np.maximum(centred.var(0, ddof=1) - within, 0)
    weight = between / np.maximum(between + within, 1e-12)
    return weight * aurocs + (1 - weight) * mean


def single(one, values):
    """{setting: AUROC (T,)} of the candidate with the highest value; values: (c,), or (T, c)."""
    values = np.broadcast_to(values, one.real["one_vs_rest"].shape)
    column = np.nanargmax(values, axis=1)
    return {setting: np.take_along_axis(aurocs, column[:, None], 1)[:, 0] for setting, aurocs in one.real.items()}


def regret(rule, seeds):
    """{setting: (T,)} mean over the seeds of the best candidate's AUROC minus that of the rule."""
    found = [(rule(one), one.real) for one in seeds]
    return {s: np.mean([real[s].max(1) - aurocs[s] for aurocs, real in found], axis=0) for s in SETTINGS}


def interval(values):
    low, high = bootstrap_over_tasks(np.asarray(values)[:, None], rng(0, "benchmark", "selection"))
    return f"{np.nanmean(values):.4f}" + (f" ({low[0]:.3f}, {high[0]:.3f})" if np.isfinite(low[0]) else "")


def table(header, rows):
    return (
        "\n".join(
            [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}", *(f"| {' | '.join(row)} |" for row in rows)]
        )
        + "\n"
    )


def of_candidates(data):
    names = next(iter(data.values()))[0].names
    rows = [
        [
            name,
            *(
                f"{np.mean([one.real[s][:, c].mean() for one in seeds]):.3f}"
                for seeds in data.values()
                for s in SETTINGS
            ),
        ]
        for c, name in enumerate(names)
    ]
    return "## Mean real AUROC of each candidate\n\n" + table(
        ["candidate", *(f"{name} {s}" for name in data for s in SETTINGS)], rows
    )


def of_strategies(picked):
    """Mean regret of the config's strategies as the study itself computes it, by the protocol leave_one_out."""
    rows: dict[str, list[str]] = {}
    for tables in picked.values():
        both = pd.concat(tables)
        both = both[(both["selection"] == "model") & both["protocol"].isin(["", "leave_one_out"])]
        for strategy in both["strategy"].unique():
            for setting in SETTINGS:
                mine = both[(both["strategy"] == strategy) & (both["setting"] == setting)]
                rows.setdefault(strategy, []).append(
                    interval(mine.groupby("task")["regret"].mean().to_numpy()) if len(mine) else ""
                )
    header = ["strategy", *(f"{name} {s}" for name in picked for s in SETTINGS)]
    return "## Regret of the strategies\n\n" + table(header, [[name, *cells] for name, cells in rows.items()])


def of_rules(regrets):
    header = [
        "rule",
        *(f"{name} {s}" for name in next(iter(regrets.values())) for s in SETTINGS),
        *(f"mean {s}" for s in SETTINGS),
    ]
    rows = []
    for rule, found in regrets.items():
        means = [f"{np.mean([np.nanmean(one[s]) for one in found.values()]):.4f}" for s in SETTINGS]
        rows.append([rule, *(interval(one[s]) for one in found.values() for s in SETTINGS), *means])
    return "## Regret of every rule\n\n" + table(header, rows)


def left_one_out(regrets):
    """The rule with the lowest mean regret on all other data sets, and its regret on the one left out."""
    names = list(next(iter(regrets.values())))
    rows = []
    for kind in ("single", "ensemble"):
        of_kind = {rule: found for rule, found in regrets.items() if rule.startswith(kind)}
        for out in names:
            others = {
                rule: np.mean([np.nanmean(found[name][s]) for name in names if name != out for s in SETTINGS])
                for rule, found in of_kind.items()
            }
            best = min(others, key=others.get) if len(names) > 1 else next(iter(others))
            rows.append([kind, out, best, *(interval(of_kind[best][out][s]) for s in SETTINGS)])
    return "## Chosen on all data sets but one\n\n" + table(["kind", "left out", "rule", *SETTINGS], rows)


def only(one: Found, columns: list[int]) -> Found:
    """`one` with some of its candidates alone."""
    return one._replace(
        names=[one.names[c] for c in columns],
        backbones=[one.backbones[c] for c in columns],
        heads=[one.heads[c] for c in columns],
        n_parameters=one.n_parameters[columns],
        synthetic={source: aurocs[:, columns] for source, aurocs in one.synthetic.items()},
        label_free={measure: values[:, columns] for measure, values in one.label_free.items()},
        real={setting: aurocs[:, columns] for setting, aurocs in one.real.items()},
        combined=lambda members: one.combined([[columns[c] for c in of_task] for of_task in members]),
    )


def of_small_pools(data, config):
    """Regret where the candidates are the heads of one network and the descriptors: how members of a backbone are limited."""
    backbones = next(iter(data.values()))[0].backbones
    bad = [backbones[c] for c, candidate in enumerate(config["candidates"]) if candidate.get("known_bad")]
    pools = {
        backbone: [c for c, other in enumerate(backbones) if other == backbone or other.startswith(DESCRIPTORS)]
        for backbone in dict.fromkeys(backbones)
        if not backbone.startswith(DESCRIPTORS) and backbone not in bad
    }
    rows = []
    for n, each in ((1, 1), (3, 1), (3, 2), (3, 4), (4, 1), (4, 2), (4, 4)):

        def rule(one, n=n, each=each):
            budget = Budget(max_members=n)
            return one.combined([highest(of, one.backbones, budget, each) for of in evidence(one, "leading", "mean")])

        cells = []
        for seeds in data.values():
            found = [regret(rule, [only(one, columns) for one in seeds]) for columns in pools.values()]
            cells += [f"{np.mean([np.nanmean(one[s]) for one in found]):.4f}" for s in SETTINGS]
        rows.append([f"top {n}, at most {each} of a backbone", *cells])
    header = ["rule", *(f"{name} {s}" for name in data for s in SETTINGS)]
    return "## Heads of one network and descriptors alone, mean over the networks\n\n" + table(header, rows)


if __name__ == "__main__":
    main()
