"""The rules of selection that benchmarks/selection.py compares, and their regret."""

from collections.abc import Callable, Iterator
from itertools import product

import label_free
import numpy as np
from selection_kept import SETTINGS, Found

from swsa_core.evaluation.known import Budget
from swsa_core.strategies.leading import leading_source
from swsa_core.strategies.swsa_ensemble import highest

DESCRIPTORS = "descriptor:"


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
