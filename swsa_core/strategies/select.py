"""Selection: which candidate each strategy picks for each task, and how good it is on the real images (Table 1).

Models (backbones with kNN) and prompts (of a CLIP model) are two selections: one is never picked against the other.
"""

from functools import cache
from itertools import product

import numpy as np
import pandas as pd

from swsa_core.candidates.prompts import ENSEMBLE
from swsa_core.evaluation.consensus import QUALITIES
from swsa_core.evaluation.evaluate import COMBINED
from swsa_core.strategies.compare import fixed_best_quality, swsa_combined_quality

# Strategies of one selection only; the others and the upper bound `best` belong to both.
SELECTION_OF = {"largest_model": "model", "default_prompt": "prompt", ENSEMBLE: "prompt"}

COLUMNS = [
    "task",
    "strategy",
    "source",
    "protocol",
    "setting",
    "candidate",
    "n_tied",
    "synthetic_auroc",
    "p_best",
    "low",
    "high",
    "saturated",
    "warning",
    "real_auroc",
    "best_auroc",
    "right",
    "regret",
]
TEXT = ["task", "strategy", "source", "protocol", "setting", "candidate", "warning"]  # of the columns


def strategies_of(selection, strategies):
    """Those of the config's `strategies` that apply to a selection, "model" or "prompt"."""
    return [strategy for strategy in strategies if SELECTION_OF.get(strategy, selection) == selection]


def select(auroc, confidence, candidates, strategies, protocols, quality=None):
    """Table of picks with `COLUMNS`: one row per task, strategy, protocol (where it has a source) and real setting.

    auroc: table of `swsa_core.evaluation.evaluate`; confidence: table of `swsa_core.evaluation.confidence`;
    candidates: columns candidate and n_parameters, in the order of the config, of one selection; strategies: names of
    `swsa_core.strategies.compare.REGISTRY`, of which COMBINED pick no candidate; quality: table of
    `swsa_core.evaluation.consensus`, needed for the strategies that pick by it.
    Of candidates that tie, the one declared first is picked, and n_tied says how many tied. A pick is right when its
    real AUROC equals the best, a combination of candidates when it is at least that. `random` is the expectation over a
    uniform draw: `right` the chance of a right pick, real_auroc the mean. Without real labels there is one row with the
    setting "", and the real figures are NaN.
    A pick of SWSA has a warning where its synthetic AUROC is below 0.5, or where those of more than half of the
    candidates are: single weak candidates say little about the anomalies.
    """
    names = list(candidates["candidate"])
    known_names = [*names, *COMBINED]
    n_parameters = candidates["n_parameters"].to_numpy(dtype=float)
    whole = auroc[auroc["n_anomalies"].astype(str) == "all"]
    aurocs = {
        key: part.set_index("candidate")["auroc"].reindex(known_names).to_numpy(dtype=float)
        for key, part in whole.groupby(["task", "validation", "protocol", "setting"], sort=False)
    }
    sources = [name for name in dict.fromkeys(whole["validation"]) if name != "real"]
    tasks = list(dict.fromkeys(whole["task"]))
    undefined = np.full(len(names), np.nan)
    qualities = {
        key: part.set_index("candidate")["quality"].reindex(names).to_numpy(dtype=float)
        for key, part in (() if quality is None else quality.groupby(["task", "strategy"], sort=False))
    }

    def synthetic(task, source, protocol):
        return aurocs[task, source, protocol, ""][: len(names)]

    @cache
    def combined(task, protocol):
        return swsa_combined_quality([synthetic(task, source, protocol) for source in sources])

    @cache
    def fixed_best(source, protocol):
        return fixed_best_quality([synthetic(task, source, protocol) for task in tasks])

    sureness = confidence.set_index(["task", "validation", "protocol", "candidate"]).to_dict("index")
    settings = list(dict.fromkeys(whole.loc[whole["validation"] == "real", "setting"]))
    rows = []
    for task in tasks:
        real = {setting: aurocs[key] for setting in settings if (key := (task, "real", "", setting)) in aurocs}
        real = real or {"": np.full(len(known_names), np.nan)}
        for strategy, (setting, of_all) in product(strategies, real.items()):
            of_real = of_all[: len(names)]
            known = {"task": task, "strategy": strategy, "setting": setting}
            if strategy == "swsa_combined" or strategy.startswith("fixed_best_"):
                for protocol in protocols:
                    source = strategy.removeprefix("fixed_best_")
                    value = combined(task, protocol) if source == strategy else fixed_best(source, protocol)
                    found = _highest(value, names)
                    rows.append(known | {"protocol": protocol} | found | _judged(found, of_real, names))
            elif strategy.startswith("swsa_"):
                source = strategy.removeprefix("swsa_")
                for protocol in protocols:
                    found = _by_synthetic(synthetic(task, source, protocol), names)
                    found |= sureness.get((task, source, protocol, found["candidate"]), {})
                    rows.append(
                        known | {"source": source, "protocol": protocol} | found | _judged(found, of_real, names)
                    )
            elif strategy == "random":
                rows.append(known | {"candidate": "", "n_tied": 1} | _expected(of_real))
            elif strategy == "default_prompt":
                found = {"candidate": names[0], "n_tied": 1}
                rows.append(known | found | _judged(found, of_real, names))
            elif strategy in QUALITIES:
                found = _highest(qualities.get((task, strategy), undefined), names)
                rows.append(known | found | _judged(found, of_real, names))
            elif strategy in COMBINED:
                rows.append(
                    known | {"candidate": "", "n_tied": 1} | _combined(of_all[known_names.index(strategy)], of_real)
                )
            elif strategy in ("largest_model", "best"):
                found = _highest(n_parameters if strategy == "largest_model" else of_real, names)
                rows.append(known | found | _judged(found, of_real, names))
            else:
                raise ValueError(f"unknown strategy {strategy!r}")
    return pd.DataFrame([_EMPTY | row for row in rows], columns=COLUMNS)


_EMPTY = {
    "source": "",
    "protocol": "",
    "synthetic_auroc": np.nan,
    "p_best": np.nan,
    "low": np.nan,
    "high": np.nan,
    "saturated": False,
    "warning": "",
}


def _highest(values, names):
    """The first candidate with the highest value, and how many tie; no candidate where all values are NaN."""
    if np.isnan(values).all():
        return {"candidate": "", "n_tied": 0}
    tied = values == np.nanmax(values)
    return {"candidate": names[int(np.argmax(tied))], "n_tied": int(tied.sum())}


def _by_synthetic(synthetic, names):
    """The pick of SWSA, with what is to be said about its synthetic AUROC."""
    found = _highest(synthetic, names)
    best = float(np.nanmax(synthetic, initial=-np.inf))
    if found["candidate"] == "":
        return found
    return found | {
        "synthetic_auroc": best,
        "saturated": best == 1 and found["n_tied"] > 1,
        "warning": _warning(synthetic, best),
    }


def _warning(synthetic, best):
    """What speaks against the synthetic anomalies, "" for nothing; best: the pick's synthetic AUROC."""
    look = "the synthetic anomalies look more normal than the normal images"
    n_below = int((synthetic < 0.5).sum())
    if best < 0.5:
        return f"synthetic AUROC below 0.5 ({best:.3f}): {look}"
    if n_below > len(synthetic) / 2:
        return f"synthetic AUROC below 0.5 of {n_below} of {len(synthetic)} candidates: {look} to them"
    return ""


def _judged(found, real, names):
    """How a pick does on the real images; an undefined AUROC is never right."""
    if np.isnan(real).all():
        return dict.fromkeys(["real_auroc", "best_auroc", "right", "regret"], np.nan)
    best = float(np.nanmax(real))
    auroc = float(real[names.index(found["candidate"])]) if found["candidate"] else np.nan
    return {"real_auroc": auroc, "best_auroc": best, "right": float(auroc == best), "regret": best - auroc}


def _combined(auroc, real):
    """How a detector that combines the candidates does on the real images: right when no candidate is better."""
    if np.isnan(real).all():
        return dict.fromkeys(["real_auroc", "best_auroc", "right", "regret"], np.nan)
    best = float(np.nanmax(real))
    return {"real_auroc": float(auroc), "best_auroc": best, "right": float(auroc >= best), "regret": best - auroc}


def _expected(real):
    """What a uniform draw among the candidates of known AUROC does on the real images, on average."""
    if np.isnan(real).all():
        return dict.fromkeys(["real_auroc", "best_auroc", "right", "regret"], np.nan)
    real = real[~np.isnan(real)]
    best, mean = float(real.max()), float(real.mean())
    return {"real_auroc": mean, "best_auroc": best, "right": float((real == best).mean()), "regret": best - mean}
