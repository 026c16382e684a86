"""Made-up results of a study in the form that the workflow writes them, for the tests of tables, figures and report."""

import numpy as np
import pandas as pd

from swsa_core.evaluation import confidence as confidence_stage
from swsa_core.evaluation import evaluate
from swsa_core.report import contact_sheets
from swsa_core.strategies import select
from swsa_core.strategies.verdict import VERDICTS

PROTOCOLS = ["leave_one_out", "paired", "paper"]
SETTINGS = ["one_vs_closest", "one_vs_rest"]
CANDIDATES = ["resnet_m", "resnet_s", "vit_m", "vit_s", "hog", "lbp", "color_histogram"]
SOURCES = ["cutpaste", "procedural"]
WARNING = "synthetic AUROC below 0.5: the synthetic anomalies look more normal than the normal images"

NO_SOURCE = {
    "members": "",
    "source": "",
    "protocol": "",
    "saturated": False,
    "warning": "",
    "verdict": "",
    "reason": "",
    "alike": "",
}


def study(datasets, candidates=CANDIDATES, sources=SOURCES, protocols=PROTOCOLS, settings=SETTINGS, seed=0):
    """auroc, confidence, selection and candidates of a study, with the columns of the files and a column dataset.

    datasets: {name: (task names, whether there are real labels)}.
    """
    rng = np.random.default_rng(seed)
    auroc, confidence, selection = [], [], []
    for dataset, (tasks, labelled) in datasets.items():
        skill = rng.uniform(-0.12, 0.1, len(candidates))
        for task in tasks:
            facts = {"dataset": dataset, "selection": "model", "task": task}
            real = {name: _real(rng, skill, name) for name in settings} if labelled else {}
            for setting, values in real.items():
                counts = {"n_anomalies": "all", "n_normal": 20, "n_anomalous": 180, "protocol": "", "closest": ""}
                auroc += _per_candidate(candidates, facts, counts, validation="real", setting=setting, auroc=values)
            picks = []
            for source in sources:
                for protocol in protocols:
                    values = _synthetic(rng, skill, source, protocol)
                    chances = np.exp(40 * (values - values.max()))
                    chances /= chances.sum()
                    low, high = np.clip(values - 0.05, 0, 1), np.clip(values + 0.03, 0, 1)
                    which = {"validation": source, "protocol": protocol}
                    for n, harder in (("all", 0), ("10", 0.1), ("5", 0.15)):
                        counts = {"n_anomalies": n, "n_normal": 20, "n_anomalous": 100, "setting": "", "closest": ""}
                        auroc += _per_candidate(candidates, facts, counts, which, auroc=values - harder)
                    confidence += _per_candidate(
                        candidates, facts, which, p_best=chances, p_near=chances, low=low, high=high
                    )
                    first, n_tied = int(values.argmax()), int((values == values.max()).sum())
                    pick = {
                        "source": source,
                        "protocol": protocol,
                        "members": "",
                        "n_tied": n_tied,
                        "p_best": chances[first],
                    }
                    pick |= {"synthetic_auroc": values[first], "low": low[first], "high": high[first]}
                    pick |= {"saturated": n_tied > 1 and values[first] == 1}
                    pick |= {"warning": WARNING if values[first] < 0.5 else ""}
                    verdict = VERDICTS[first % len(VERDICTS)]
                    pick |= {"verdict": verdict, "reason": "the sources say so", "alike": "; ".join(candidates[:2])}
                    picks.append((f"swsa_{source}", first, pick))
            for setting in real or [""]:
                truth = real.get(setting, np.full(len(candidates), np.nan))
                made = [("largest_model", 0, NO_SOURCE), *picks]
                made += [("best", int(truth.argmax()), NO_SOURCE)] if real else []
                for strategy, i, pick in made:
                    right = float(truth[i] == truth.max()) if real else np.nan
                    row = facts | pick | {"strategy": strategy, "setting": setting, "candidate": candidates[i]}
                    selection.append(row | _reality(truth, truth[i], right))
                right = 1 / len(candidates) if real else np.nan
                row = facts | NO_SOURCE | {"strategy": "random", "setting": setting, "candidate": ""}
                selection.append(row | _reality(truth, truth.mean(), right))
    return {
        "auroc": pd.DataFrame(auroc)[["dataset", "selection", *evaluate.AUROC.columns[1:]]],
        "confidence": pd.DataFrame(confidence)[["dataset", "selection", *confidence_stage.CONFIDENCE.columns[1:]]],
        "selection": pd.DataFrame(selection)[["dataset", "selection", *select.SELECTION.columns[1:]]],
        "candidates": _candidates(candidates),
        "strategies": ["largest_model", "random", *(f"swsa_{source}" for source in sources)],
        "protocols": protocols,
    }


def image(seed, side=32):
    """A small image with a bright disc, (side, side, 3) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side - rng.uniform(0.35, 0.65, (2, 1, 1))
    disc = np.hypot(x, y)[..., None] < rng.uniform(0.15, 0.35)
    return np.where(disc, rng.integers(120, 255, 3), rng.integers(0, 110, 3)).astype(np.uint8)


def sheet_of(pick, boxes=True, side=32, n_parents=None):
    """A contact sheet of made-up images; anomaly i has the score i, so that the first are the hardest.

    n_parents: of each anomaly; one where there are boxes and none elsewhere when left out.
    """
    seeds = [f"a{i}" for i in range(20)]
    n_parents = int(boxes) if n_parents is None else n_parents
    parents = np.array([seeds * 5, seeds[::-1] * 5]).T[:, :n_parents]
    rows = np.tile([6, 5, 4, 3, 20, 18], (100, 1))
    return contact_sheets.collect(
        pick,
        seeds,
        lambda name: image(int(name[1:]), side),
        np.arange(100.0),
        lambda row: image(100 + row, side),
        parents if n_parents else None,
        rows if boxes else None,
    )


def _real(rng, skill, setting):
    return np.clip(0.87 - 0.08 * (setting == "one_vs_closest") + skill + rng.normal(0, 0.02, len(skill)), 0, 1)


def _synthetic(rng, skill, source, protocol):
    shift = 0.4 if (source, protocol) == ("cutpaste", "paper") else 0
    values = np.clip(0.85 - shift + 1.2 * skill + rng.normal(0, 0.03, len(skill)), 0, 1).round(3)
    if source == "procedural" and rng.random() < 0.4:
        values[[0, -1]] = 1.0
    return values


def _per_candidate(candidates, *facts, **values):
    common = {key: value for part in facts for key, value in part.items()}
    columns = {key: np.broadcast_to(value, len(candidates)) for key, value in values.items()}
    return [common | {"candidate": name} | {k: v[i] for k, v in columns.items()} for i, name in enumerate(candidates)]


def _reality(truth, value, right):
    return {"real_auroc": value, "best_auroc": truth.max(), "right": right, "regret": truth.max() - value}


def _candidates(names):
    networks = np.arange(len(names)) < 5
    return pd.DataFrame(
        {
            "candidate": names,
            "model": [f"mini:{name}" for name in names],
            "n_parameters": np.where(networks, 10 ** (7 - np.arange(len(names)).clip(0, 5)), 0),
            "feature_size": 128,
            "licence": np.where(networks, "apache-2.0", "no weights"),
            "weights_sha256": np.where(networks, "ab12" * 16, ""),
            "transform": "resize 256, crop 224, mean 0.485 0.456 0.406",
            "seen": 1.0,
        }
    )


def with_costs(candidates):
    """Rows of candidates.csv as the report takes them: with what each sees and costs."""
    measured = {"median_ms": 12.34, "p95_ms": 15.6, "head_ms": 0.0123, "n_bank": 20, "bank_mb": 0.5}
    known = {"seen": 0.765625, "backbone": candidates["candidate"], "head": "knn", "device": "cpu", "threads": 2}
    known["network"] = known["backbone"]
    return candidates.assign(**known, **measured)
