"""AUROC of every candidate on every validation set: the real test images and the synthetic anomalies (§3.1, §4.2)."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from swsa_core.basics.errors import InputError
from swsa_core.candidates.family import NOT_STATED
from swsa_core.candidates.prompts import ENSEMBLE
from swsa_core.datasets import real_validation
from swsa_core.datasets.kind import Spec
from swsa_core.detectors.scores import Scores
from swsa_core.evaluation.known import UNLIMITED, Budget, Known
from swsa_core.evaluation.protocols import LEADING, Comparison, compare, mean_of_wins, normal_scores
from swsa_core.files.reading import file_of
from swsa_core.files.table import Table
from swsa_core.metrics import exact_mean, pair_counts

# The selection, "model" or "prompt", is said when the tables of both are put together.
AUROC = Table(
    "auroc",
    "selection task candidate validation protocol setting n_anomalies auroc n_normal n_anomalous closest",
    numbers="auroc n_normal n_anomalous",
)
CANDIDATES = Table(
    "candidates",
    "selection candidate backbone head model n_parameters feature_size licence weights_sha256 transform",
    numbers="n_parameters feature_size",
)


class RealWins(NamedTuple):
    """The won pairs of every group of real test images against the normal ones, for one task.

    G groups of anomalous images stand behind "", the rest: every anomalous image once, those of small groups too.
    """

    groups: list[str]  # "", then the names of the G groups in sorted order
    won: np.ndarray  # (G + 1, columns) int: twice the number of won pairs; a column per candidate, then per combination
    sizes: np.ndarray  # (G + 1,) int: images of each group
    n_normal: int

    @property
    def aurocs(self) -> np.ndarray:
        """AUROC of every group and column, (G + 1, columns)."""
        return self.won / (2 * self.n_normal * self.sizes)[:, None]


def evaluate(
    scores: Mapping[str, Scores],
    index: pd.DataFrame,
    spec: Spec,
    *,
    protocols: Sequence[str],
    settings: Sequence[str],
    hardest: Sequence[str | int] = ("all",),
    closest: str = "candidate",
    hardest_by: str = "candidate",
    combinations: Mapping[str, Callable] | None = None,
    left_out: Mapping[str, Collection[str]] | None = None,
    budget: Budget = UNLIMITED,
) -> pd.DataFrame:
    """Table of AUROCs, one row per fact, with the columns of `AUROC` but the selection.

    scores: {candidate: Scores} in the order of the config, for prompts with their ensemble; index: the table of
    images.csv; spec: the data set's config.
    settings: of the real validation sets, from one_vs_rest, one_vs_closest, one_vs_one.
    closest: "candidate" (each candidate's own worst out-class) or "shared" (the one that is worst on average).
    hardest: sizes of the synthetic validation sets, "all" or a number of anomalies, those with the lowest scores of the
    candidate (hardest_by "candidate") or the lowest mean rank over the candidates ("mean_rank").
    combinations: {name: function of the scores (n, c) of real test images by the candidates, and of what is `Known` of the
    task, to those (n,) of a detector that combines them}; such a detector has rows under its name, on real images only.
    left_out: {task: ids of test images that are no part of its real validation}; budget: of `Known`.
    A task without normal or without anomalous test images has no rows of validation "real", one without a group of
    min_group_size has those of one_vs_rest.
    """
    check_alike(scores)
    tasks, sources = _first(scores).tasks, _first(scores).anomalies
    combinations = combinations or {}
    names = [*scores, *combinations]
    single = [name in scores and name != ENSEMBLE for name in names]
    leading = next((protocol for protocol in (LEADING, *protocols) if protocol in protocols), None)
    of_candidates = [name for name in scores if name != ENSEMBLE]
    aurocs = {source: np.full((len(tasks), len(of_candidates)), np.nan) for source in sources}
    made: list[list[dict]] = []  # rows of each task
    for t, task in enumerate(tasks):
        made.append([])
        for source in sources:
            for protocol in protocols:
                comparisons = {name: compare(of, task, source, protocol) for name, of in scores.items()}
                cell = {"task": task, "validation": source, "protocol": protocol, "setting": "", "closest": ""}
                made[-1] += [cell | row for row in _synthetic_rows(comparisons, hardest, hardest_by)]
                if protocol == leading:
                    aurocs[source][t] = [comparisons[name].auroc for name in of_candidates]
    known = _known({name: scores[name] for name in of_candidates}, aurocs, budget) if combinations else ()
    rows = []
    for task, wins, others in zip(
        tasks, real_wins(scores, index, spec, combinations, left_out, known), made, strict=True
    ):
        if wins is not None:
            rows += [{"task": task, **row} for row in _real_rows(names, single, wins, settings, closest)]
        rows += others
    return pd.DataFrame(rows, columns=AUROC.columns[1:])


def _known(candidates, aurocs, budget):
    """`Known` of each task."""
    backbones = [str(one.attributes.get("backbone", name)) for name, one in candidates.items()]
    for task in _first(candidates).tasks:
        normals = np.stack([normal_scores(one, task) for one in candidates.values()], axis=1)
        yield Known(backbones, aurocs, normals, budget)


def described(candidates: Mapping[str, Scores], licences: Mapping[str, str]) -> pd.DataFrame:
    """Table with the columns of `CANDIDATES` but the selection; licences: {backbone: that of its weights}.

    A file that was scored before there were heads names none: it is of kNN, and of the backbone of the candidate's name. All
    prompts are of one CLIP model.
    """
    rows = [
        {
            "backbone": name if "k" in one.attributes else one.attributes["model"],
            "head": "knn" if "k" in one.attributes else "",
        }
        | {"candidate": name, **one.attributes}
        for name, one in candidates.items()
    ]
    table = pd.DataFrame(rows)
    return table.assign(licence=table["backbone"].map(licences).fillna(NOT_STATED))[CANDIDATES.columns[1:]]


def check_alike(scores: Mapping[str, Scores]) -> None:
    """Raise InputError unless all candidates were scored on the same tasks, images and anomalies."""
    first_name, first = next(iter(scores.items()))
    for name, other in scores.items():
        same = {
            "tasks": other.tasks == first.tasks,
            "test images": np.array_equal(other.test["image_id"], first.test["image_id"]),
            "support images": np.array_equal(other.support["image_id"], first.support["image_id"]),
            "sources": other.parts.keys() == first.parts.keys(),
        }
        for part in set(other.parts) & set(first.parts) - {"test", "support"}:
            one, two = other.parts[part], first.parts[part]
            what, _, source = part.partition("/")
            same[f"{source} {what}"] = all(np.array_equal(one[key], two[key]) for key in ("task", "parents"))
        if unlike := [what for what, equal in same.items() if not equal]:
            raise InputError(
                f"the scores of {name!r} and {first_name!r} are of different {unlike[0]}: delete both and run again"
            )


def check_complete(scores: Mapping[str, Scores], index: pd.DataFrame, dataset: str) -> None:
    """Raise InputError when images of the data set have no scores because they could not be read.

    That is what `on_bad_image: error` says of scores that were finished under `skip`. index: the table of images.csv.
    """
    skipped = {
        image["image_id"]: image["reason"] for one in scores.values() for image in json.loads(one.attributes["skipped"])
    }
    if skipped:
        image_id, reason = next(iter(skipped.items()))
        path = file_of(index.loc[index["image_id"] == image_id, "path"].iloc[0])
        others = f" {len(skipped) - 1} more are left out, too;" if len(skipped) > 1 else ""
        raise InputError(
            f"datasets.{dataset}.on_bad_image: error, but the finished scores leave out image {image_id!r} of file {path!r} "
            f"({reason});{others} repair it and `touch` its directory, or set datasets.{dataset}.on_bad_image: skip"
        )


def real_wins(
    scores: Mapping[str, Scores],
    index: pd.DataFrame,
    spec: Spec,
    combinations: Mapping[str, Callable] | None = None,
    left_out: Mapping[str, Collection[str]] | None = None,
    known: Iterable[Known | None] = (),
) -> Iterator[RealWins | None]:
    """For each task, the won pairs of its real test images; None for a task without labels.

    The groups are those of at least spec["min_group_size"] images; combinations, left_out: see `evaluate`; known: of the tasks,
    needed with combinations. Test images without scores, unreadable ones, are left out.
    """
    place = pd.Index(_first(scores).test["image_id"]).get_indexer(index["image_id"])  # index row -> test row
    single = [name != ENSEMBLE for name in scores]
    known_codes, known_names = pd.factorize(index["group"], sort=True)
    for t, (task, of_task) in enumerate(zip_longest(_first(scores).tasks, known)):
        rows, groups, normal = real_validation(index, spec, task, (left_out or {}).get(task, ()))
        scored = place[rows] >= 0
        rows = rows[scored]
        if spec.get("groups") == "atomic":  # parts of the index's groups
            codes, names = pd.factorize(groups[scored], sort=True)
        else:
            counts = np.bincount(known_codes[rows], minlength=len(known_names))
            codes = (np.cumsum(counts > 0) - 1)[known_codes[rows]]
            names = known_names.to_numpy(dtype=object)[counts > 0]
        others = names != normal
        if others.all() or not others.any():
            yield None
            continue
        normal_code = int(np.argmin(others))
        columns = np.stack([of.test["scores"][place[rows], t] for of in scores.values()], axis=1)  # (rows, scores)
        once = np.diff(rows, prepend=-1) > 0  # an image with two defect types stands in two groups
        of_once = columns[once][:, single]
        combined = [combine(of_once, of_task)[np.cumsum(once) - 1] for combine in (combinations or {}).values()]
        columns = np.column_stack([columns, *combined])
        won, sizes = pair_counts(columns, codes, normal_code, len(names))
        shown = others & (sizes >= spec.get("min_group_size", 1))
        rest, rest_sizes = won, sizes
        if not once.all():  # in the rest, every image counts once
            rest, rest_sizes = pair_counts(columns[once], codes[once], normal_code, len(names))
        yield RealWins(
            groups=["", *names[shown]],
            won=np.concatenate([rest[others].sum(axis=0, keepdims=True), won[shown]]),
            sizes=np.concatenate([[rest_sizes[others].sum()], sizes[shown]]),
            n_normal=int(sizes[normal_code]),
        )


def _real_rows(candidates, single, wins, settings, closest):
    """The rows of validation "real" of one task; wins: its `RealWins`, a column for each of `candidates`."""
    groups, _, sizes, n_normal = wins
    aurocs = wins.aurocs  # (G + 1, candidates), first the rest
    lowest = 1 + _closest(aurocs[1:], closest, single) if len(groups) > 1 else []
    for c, candidate in enumerate(candidates):
        found = {"one_vs_rest": (aurocs[0, c], sizes[0], "")}
        if len(groups) > 1:
            worst = lowest[c]
            found["one_vs_closest"] = aurocs[worst, c], sizes[worst], groups[worst]
            found["one_vs_one"] = exact_mean(aurocs[1:, c]), sizes[1:].sum(), ""
        for setting in settings:
            if setting not in found:
                continue
            auroc, n_anomalous, out_class = found[setting]
            yield {
                "candidate": candidate,
                "validation": "real",
                "protocol": "",
                "setting": setting,
                "n_anomalies": "all",
                "auroc": float(auroc),
                "n_normal": n_normal,
                "n_anomalous": int(n_anomalous),
                "closest": out_class,
            }


def _closest(aurocs, closest, single):
    """For each column of aurocs (G, c) the row of its minimum, or ("shared") of the lowest mean over the candidates, (c,).

    single: which columns are candidates, not combinations of them.
    """
    if closest == "shared":
        return np.full(aurocs.shape[1], np.argmin([exact_mean(row) for row in aurocs[:, single]]))
    return aurocs.argmin(axis=0)


def _synthetic_rows(comparisons, hardest, hardest_by):
    orders = hardest_first(comparisons, hardest_by)
    for candidate, comparison in comparisons.items():
        for size in hardest:
            wins = comparison.wins if size == "all" else comparison.wins[orders[candidate][: int(size)]]
            yield {
                "candidate": candidate,
                "n_anomalies": str(size),
                "auroc": mean_of_wins(wins),
                "n_normal": comparison.n_normal,
                "n_anomalous": int(np.isfinite(wins).any(axis=1).sum()),
            }


def hardest_first(comparisons: Mapping[str, Comparison], by: str = "candidate") -> dict[str, np.ndarray]:
    """{candidate: rows of its anomalies, lowest score first}; by "mean_rank", one order, of the candidates that score all.

    Anomalies that a candidate does not score come last.
    """
    if by == "mean_rank":
        ranked = [one for name, one in comparisons.items() if name != ENSEMBLE and one.counted.all()]
        order = np.argsort(sum(rankdata(one.scores) for one in ranked), kind="stable")
        return {name: order[np.argsort(~one.counted[order], kind="stable")] for name, one in comparisons.items()}
    return {name: np.argsort(one.scores, kind="stable") for name, one in comparisons.items()}


def _first(scores):
    return next(iter(scores.values()))
