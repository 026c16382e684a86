"""The tables that benchmarks/selection.py prints, as Markdown.

data: {data set: `Found` of each seed}; regrets: {rule: {data set: of `regret`}}.
"""

import numpy as np
import pandas as pd
from selection_kept import SETTINGS, only
from selection_rules import DESCRIPTORS, evidence, regret

from swsa_core.basics.seeding import rng
from swsa_core.evaluation.known import Budget
from swsa_core.strategies.compare import bootstrap_over_tasks
from swsa_core.strategies.swsa_ensemble import highest


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
