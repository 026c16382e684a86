"""What is recommended for a data set and why, as a dict for programs and in words for people; docs/service.md has its keys."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swsa_core.basics.errors import InputError
from swsa_core.basics.wording import by_reason, decimals, for_markdown, listed, plural, two_digits
from swsa_core.detectors.cost import together_mb, together_ms
from swsa_core.detectors.scores import Scores
from swsa_core.evaluation.confidence import confidence
from swsa_core.evaluation.members import as_one
from swsa_core.evaluation.protocols import LEADING, compare, normal_scores
from swsa_core.evaluation.unusual import FAR, far_out
from swsa_core.files.reading import file_of
from swsa_core.files.support import Support
from swsa_core.files.text import read_json
from swsa_core.report.support_curve import points_of, told
from swsa_core.strategies.select import BETWEEN, deployed, judged, picked
from swsa_core.strategies.verdict import CLEAR, CLOSE
from swsa_core.strategies.wording import words

# What the report reads of each task.
OF_TASK = {"task", "pick", "in_words", "more_images", "normals", "ms", "mb", "licence", "runners_up", "sources"}
OF_TASK |= {"decided_by", "unusual"}
ALONE = "only candidate"  # the verdict where there is nothing to choose
MOST_OTHERS = 5  # runners-up
MOST_PICKS = 3  # of a size that the Markdown names
MOST_UNUSUAL = 3  # normal images that are named


def recommendation(
    dataset: str,
    strategies: Sequence[str],
    selection: pd.DataFrame,
    auroc: pd.DataFrame,
    sureness: pd.DataFrame,
    candidates: pd.DataFrame,
    scores: Mapping[str, Scores],
    supports: Sequence[Support],
    curve: pd.DataFrame | None,
    left_out: Mapping[str, str],
    seed: int,
    resamples: int,
) -> dict[str, Any]:
    """The recommendation of a data set; numbers that are not known are None.

    selection, auroc, sureness: rows of selection.csv, auroc.csv and confidence.csv about models; candidates: rows of
    candidates.csv with those of `swsa_core.detectors.cost.of_candidates`; scores: {candidate: Scores}; curve: of
    `swsa_core.strategies.support_curve`, None where it was not made; left_out: {candidate: why}; seed, resamples: of the
    bootstrap.
    """
    strategy, picks = deployed(selection, strategies)
    verdicts = judged(selection, strategies)
    tasks = []
    for support in supports:
        task = support["task"]
        if task not in picks.index or not picked(picks.loc[task]):
            continue
        names, verdict = picked(picks.loc[task]), verdicts.loc[task] if task in verdicts.index else None
        together = as_one([scores[name] for name in names])
        points = points_of(curve[curve["task"] == task]) if curve is not None else []
        one = {
            "task": task,
            "pick": names,
            "verdict": ALONE if len(candidates) == 1 else verdict["verdict"] if verdict is not None else "",
            "reason": verdict["reason"] if verdict is not None else "",
            "alike": verdict["alike"].split(BETWEEN) if verdict is not None and verdict["alike"] else [],
            "normals": len(support["paths"]),
            "decided_by": verdict["source"] if verdict is not None else "",
            "warning": verdict["warning"] if verdict is not None else "",
            "sources": _sources(task, names, together, auroc, sureness, verdict, dataset, seed, resamples),
            **_costs(candidates, names),
            "support_curve": points,
            "more_images": told(points),
            "unusual": unusual(together, support),
        }
        one["runners_up"] = _runners_up(one, auroc, candidates, verdict)
        tasks.append({"task": task, "in_words": in_words(one)} | one)
    kept = [{"candidate": name, "why": why} for name, why in left_out.items()]
    return {"dataset": dataset, "strategy": strategy, "tasks": tasks, "left_out": kept}


def read_recommendation(path: Path | str) -> dict[str, Any]:
    """The recommendation of a file. Raises InputError that names it where it cannot be read or is not one."""
    found = read_json(path)
    if isinstance(found, dict) and found.keys() >= {"dataset", "tasks", "left_out"}:
        tasks = found["tasks"]
        if isinstance(tasks, list) and all(isinstance(one, dict) and one.keys() >= OF_TASK for one in tasks):
            return found
    raise InputError(f"{path} does not hold the recommendation of a data set: delete it and run again")


def over_limits(costs: pd.DataFrame, max_ms: float | None, max_mb: float | None) -> dict[str, str]:
    """{candidate that is over a limit: why it is left out}; costs: of `of_candidates`."""
    found: dict[str, list[str]] = {}
    for name, rows in costs.groupby("candidate", sort=False):
        ms, mb = together_ms(rows), together_mb(rows)
        if max_ms and not ms <= max_ms:
            takes = (
                "it is not known what one image takes," if math.isnan(ms) else f"one image takes {ms:.1f} ms, more than"
            )
            found.setdefault(str(name), []).append(f"{takes} selection.max_ms: {max_ms:g}")
        if max_mb and not mb <= max_mb:
            has = "its size is not known," if math.isnan(mb) else f"it has {mb:.1f} MB, more than"
            found.setdefault(str(name), []).append(f"{has} selection.max_mb: {max_mb:g}")
    return {name: listed(reasons) for name, reasons in found.items()}


def unusual(scores: Scores, support: Support) -> list[dict[str, Any]]:
    """The normal images of a task with the highest scores, each left out of the bank, the highest first.

    far: whether the image is an outlier, see `swsa_core.evaluation.unusual`.
    """
    ids = scores.of_task(scores.support, support["task"])["image_id"]
    values = normal_scores(scores, support["task"])
    away = far_out(values)
    return [
        {
            "image": str(ids[row]),
            "path": file_of(support["paths"][ids[row]]),
            "score": float(values[row]),
            "far": bool(away[row] > FAR),
        }
        for row in np.argsort(-values, kind="stable")[:MOST_UNUSUAL].tolist()
    ]


def in_words(one: Mapping[str, Any]) -> str:
    """What to deploy for a task and how sure that is, for a reader who knows no statistics; one: of `recommendation`."""
    told = [f"Deploy {listed(one['pick'])}{' together' if len(one['pick']) > 1 else ''}."]
    others = [name for name in one["alike"] if name not in one["pick"]]
    choice = "The choice of the best single candidate" if len(one["pick"]) > 1 else "The choice"
    if one["verdict"] == ALONE:
        told.append("It is the only candidate, so that nothing was chosen.")
    elif one["verdict"] == CLEAR:
        told.append(f"{choice} is clear: {one['reason']}.")
    elif one["verdict"] == CLOSE:
        told.append(
            f"{choice} is a close call: {plural(len(others), 'other candidate')} cannot be told apart from it by these images, "
            "so that another one may be as good."
        )
    elif one["verdict"]:
        told.append(f"There is no basis for the choice: {one['reason']}. Try it on real defects before you rely on it.")
    found = [source for source in one["sources"] if source["auroc"] is not None]
    if found:
        shares = [f"{_of_hundred(source['auroc'])} ({words(source['source'])})" for source in found]
        told.append(
            f"Of 100 pairs of a synthetic defect and a normal image it ranks the defect higher in {listed(shares)}."
        )
    if far := [image["image"] for image in one["unusual"] if image["far"]]:
        told.append(
            f"Look at {listed(far)}: {'it is' if len(far) == 1 else 'they are'} far more unusual than the other normal images."
        )
    return " ".join(told)


def _of_hundred(share):
    """A share as so many of a hundred, all of them only where none is missing."""
    return "more than 99" if 0.995 <= share < 1 else f"{100 * share:.0f}"


def markdown(found: Mapping[str, Any]) -> str:
    """The recommendation as Markdown."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"# Which detector to deploy for {for_markdown(found['dataset'])}"
    for one in found["tasks"]:
        yield from ("", f"## {for_markdown(one['task'])}", "", for_markdown(one["in_words"]))
        if one["warning"]:
            yield from ("", f"Warning: {for_markdown(one['warning'])}.")
        facts = [f"{two_digits(one[key])} {unit}" for key, unit in (("ms", "ms per image"), ("mb", "MB")) if one[key]]
        facts.append(f"licence {one['licence']}")
        yield from (
            "",
            f"{plural(one['normals'], 'normal image')}; {', '.join(facts)}.",
            "",
            "| synthetic anomalies | AUROC | 95 % interval |",
            "|---|---|---|",
        )
        for source in one["sources"]:
            interval = " to ".join(decimals(source[key], 3, "-") for key in ("low", "high"))
            yield f"| {words(source['source'])} | {decimals(source['auroc'], 3, '-')} | {interval} |"
        if one["runners_up"]:
            yield from (
                "",
                "| runners-up | AUROC | ms | MB | licence | as good, as far as can be told |",
                "|---|---|---|---|---|---|",
            )
        for other in one["runners_up"]:
            numbers = [decimals(other["auroc"], 3, "-"), *(two_digits(other[key] or math.nan) for key in ("ms", "mb"))]
            cells = [
                for_markdown(other["candidate"]),
                *numbers,
                for_markdown(other["licence"]),
                "yes" if other["alike"] else "no",
            ]
            yield f"| {' | '.join(cells)} |"
        if one["support_curve"]:
            yield from (
                "",
                f"{one['more_images']}",
                "",
                "| images | draws | picks | AUROC | lowest to highest draw |",
                "|---|---|---|---|---|",
            )
        for point in one["support_curve"]:
            often = list(point["picks"].items())[:MOST_PICKS]
            picks = ", ".join(f"{for_markdown(name)} {times}" for name, times in often)
            picks += ", …" if len(point["picks"]) > MOST_PICKS else ""
            spread = " to ".join(decimals(point[key], 3, "-") for key in ("low", "high"))
            yield f"| {point['n']} | {point['repeats']} | {picks} | {decimals(point['auroc'], 3, '-')} | {spread} |"
    if found["left_out"]:
        yield from ("", "## Left out", "")
        for why, names in by_reason({one["candidate"]: one["why"] for one in found["left_out"]}).items():
            yield f"* {', '.join(map(for_markdown, names))}: {for_markdown(why)}"


def _sources(task, names, together, auroc, sureness, verdict, dataset, seed, resamples):
    """AUROC and interval of the pick by each source: of one candidate as in the tables, of several by the same functions."""
    if len(names) == 1:
        protocol = verdict["protocol"] if verdict is not None else LEADING
        rows = auroc[(auroc["validation"] != "real") & (auroc["n_anomalies"].astype(str) == "all")]
        rows = rows.merge(sureness, on=["task", "candidate", "validation", "protocol"])
        rows = rows[(rows["task"] == task) & (rows["candidate"] == names[0]) & (rows["protocol"] == protocol)]
    else:
        rows = confidence({BETWEEN.join(names): together}, dataset, seed, [LEADING], resamples)
        rows = rows[(rows["task"] == task) & rows["validation"].isin(together.anomalies)]
        rows = rows.assign(auroc=[compare(together, task, one, LEADING).auroc for one in rows["validation"]])
    return [
        {"source": row.validation, **{key: _number(getattr(row, key)) for key in ("auroc", "low", "high")}}
        for row in rows.itertuples()
    ]


def _runners_up(one, auroc, candidates, verdict):
    """The best other candidates on the anomalies that decided, the best first."""
    if verdict is None:
        return []
    mine = (auroc["task"] == one["task"]) & (auroc["validation"] == one["decided_by"])
    mine &= (auroc["protocol"] == verdict["protocol"]) & (auroc["n_anomalies"].astype(str) == "all")
    values = auroc[mine].set_index("candidate")["auroc"].dropna()
    others = values[values.index.isin(candidates["candidate"]) & ~values.index.isin(one["pick"])]
    best = others.sort_values(ascending=False, kind="stable")[:MOST_OTHERS]
    return [
        {"candidate": name, "auroc": float(value), **_costs(candidates, [name]), "alike": name in one["alike"]}
        for name, value in best.items()
    ]


def _costs(candidates, names):
    """What one image costs some candidates together, and their licences."""
    rows = candidates[candidates["candidate"].isin(names)]
    known = rows["median_ms"].notna().all()  # not those of networks that were fine-tuned
    return {
        "ms": together_ms(rows) if known else None,
        "mb": together_mb(rows) if known else None,
        "licence": ", ".join(dict.fromkeys(rows["licence"])),
    }


def _number(value):
    return float(value) if math.isfinite(value) else None
