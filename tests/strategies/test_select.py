"""What each strategy picks, who wins ties, and what is right."""

import numpy as np
import pandas as pd
import pytest

from swsa_core.evaluation.confidence import ALL_SOURCES
from swsa_core.strategies import of_selection
from swsa_core.strategies.select import SELECTION, select

CANDIDATES = pd.DataFrame({"candidate": ["big", "other", "small"], "n_parameters": [9, 9, 1]})
STRATEGIES = ["largest_model", "random", "swsa_cutpaste", "best"]


def tables(synthetic, real, task="t", protocol="leave_one_out"):
    """auroc and confidence; synthetic: AUROC by candidate; real: {setting: AUROC by candidate}."""
    rows = [
        (task, name, "cutpaste", protocol, "", "all", value)
        for name, value in zip(CANDIDATES.candidate, synthetic, strict=True)
    ]
    rows += [(task, name, "cutpaste", protocol, "", "5", 0.1) for name in CANDIDATES.candidate]
    for setting, values in real.items():
        rows += [
            (task, name, "real", "", setting, "all", value)
            for name, value in zip(CANDIDATES.candidate, values, strict=True)
        ]
    auroc = pd.DataFrame(
        rows, columns=["task", "candidate", "validation", "protocol", "setting", "n_anomalies", "auroc"]
    ).sample(frac=1, random_state=0)  # the order of the rows says nothing
    sure = pd.DataFrame(
        [
            (task, name, validation, protocol, 0.1 * i, 0.2 * i, 0.2, 0.9)
            for validation in ("cutpaste", ALL_SOURCES)
            for i, name in enumerate(CANDIDATES.candidate)
        ],
        columns=["task", "candidate", "validation", "protocol", "p_best", "p_near", "low", "high"],
    )
    return auroc, sure


def picks(synthetic, real, strategies=STRATEGIES):
    return select(*tables(synthetic, real), CANDIDATES, strategies, ["leave_one_out"]).set_index("strategy")


def test_each_strategy():
    table = picks([0.6, 0.7, 0.8], {"one_vs_rest": [0.7, 0.9, 0.8]})
    assert table.reset_index().columns.size == len(SELECTION.columns[1:])
    assert table.candidate.to_dict() == {
        "largest_model": "big",
        "random": "",
        "swsa_cutpaste": "small",
        "best": "other",
    }
    assert table.right.to_dict() == pytest.approx({"largest_model": 0, "random": 1 / 3, "swsa_cutpaste": 0, "best": 1})
    assert table.real_auroc.to_dict() == pytest.approx(
        {"largest_model": 0.7, "random": 0.8, "swsa_cutpaste": 0.8, "best": 0.9}
    )
    assert table.regret.to_dict() == pytest.approx(
        {"largest_model": 0.2, "random": 0.1, "swsa_cutpaste": 0.1, "best": 0}
    )
    assert (table.best_auroc == 0.9).all()
    swsa = table.loc["swsa_cutpaste"]
    assert (swsa.source, swsa.protocol, swsa.synthetic_auroc) == ("cutpaste", "leave_one_out", 0.8)
    assert (swsa.p_best, swsa.low, swsa.high) == (0.2, 0.2, 0.9)
    assert not swsa.saturated and swsa.warning == ""
    assert (swsa.verdict, swsa.alike) == ("close call", "small; other")
    assert table.drop("swsa_cutpaste")[["source", "protocol", "warning", "verdict", "alike"]].eq("").all(axis=None)


def test_ties_go_to_the_candidate_declared_first_and_are_counted():
    table = picks([0.5, 0.8, 0.8], {"one_vs_rest": [0.9, 0.7, 0.9]})
    assert table.candidate.to_dict() == {"largest_model": "big", "random": "", "swsa_cutpaste": "other", "best": "big"}
    assert table.n_tied.to_dict() == {"largest_model": 2, "random": 1, "swsa_cutpaste": 2, "best": 2}
    assert table.right["random"] == pytest.approx(2 / 3)


def test_a_pick_that_equals_the_best_is_right():
    table = picks([0.5, 0.7, 0.8], {"one_vs_rest": [0.9, 0.7, 0.9]})
    assert table.candidate["swsa_cutpaste"] == "small"
    assert table.right["swsa_cutpaste"] == 1
    assert table.regret["swsa_cutpaste"] == 0


@pytest.mark.parametrize(
    ("synthetic", "saturated", "warned"),
    [
        ([1, 1, 0.9], True, False),
        ([1, 0.9, 0.9], False, False),
        ([0.9, 0.9, 0], False, False),
        ([0.2, 0.4, 0.1], False, True),
        ([0.2, 0.55, 0.5], False, False),
        ([0.2, 0.55, 0.4], False, True),
        ([0.2, 0.55, np.nan], False, False),
    ],
)
def test_saturation_and_warning(synthetic, saturated, warned):
    row = picks(synthetic, {}).loc["swsa_cutpaste"]
    assert row.saturated == saturated
    assert ("below 0.5" in row.warning) == warned


def test_the_warning_says_how_many_candidates_are_below_half():
    assert "of 2 of 3 candidates" in picks([0.2, 0.55, 0.4], {}).warning["swsa_cutpaste"]
    assert "(0.400)" in picks([0.2, 0.4, 0.1], {}).warning["swsa_cutpaste"]


def test_without_real_labels_there_is_one_row_with_the_pick_only():
    table = picks([0.5, 0.7, 0.8], {})
    assert table.index.tolist() == STRATEGIES
    assert table.candidate.to_dict() == {"largest_model": "big", "random": "", "swsa_cutpaste": "small", "best": ""}
    assert (table.setting == "").all()
    assert table[["real_auroc", "best_auroc", "right", "regret"]].isna().all(axis=None)


def test_an_undefined_auroc_is_never_a_success():
    table = picks([np.nan, np.nan, np.nan], {"one_vs_rest": [0.9, np.nan, 0.8]})
    assert table.candidate["swsa_cutpaste"] == ""
    assert table.right["swsa_cutpaste"] == 0
    table = picks([0.5, 0.9, 0.6], {"one_vs_rest": [0.9, np.nan, 0.8]})
    assert (table.candidate["swsa_cutpaste"], table.right["swsa_cutpaste"]) == ("other", 0)
    assert table.candidate["best"] == "big"


def test_rows_of_every_task_setting_and_protocol():
    parts = [
        tables([0.5, 0.6, 0.7], {"one_vs_rest": [0.9, 0.8, 0.7], "one_vs_closest": [0.5, 0.6, 0.4]}, task, protocol)
        for task in ("t", "u")
        for protocol in ("paper", "paired")
    ]
    auroc, sure = (pd.concat(tables).drop_duplicates() for tables in zip(*parts, strict=True))
    table = select(auroc, sure, CANDIDATES, ["swsa_cutpaste", "best"], ["paired", "paper"])
    assert len(table) == 2 * 2 * (2 + 1)
    swsa = table[table.strategy == "swsa_cutpaste"]
    assert all(list(rows.protocol) == ["paired", "paper"] for _, rows in swsa.groupby(["task", "setting"]))


def test_unknown_strategy():
    with pytest.raises(ValueError, match="unknown strategy 'luck'"):
        picks([0.5, 0.6, 0.7], {}, ["luck"])


def test_prompts_have_a_default_and_an_ensemble_that_may_beat_them_all():
    auroc, sure = tables([0.6, 0.7, 0.8], {"one_vs_rest": [0.7, 0.9, 0.8]})
    ensemble = {"task": "t", "candidate": "prompt_ensemble", "validation": "real", "protocol": "", "n_anomalies": "all"}
    for value, right in ((0.95, 1), (0.9, 1), (0.85, 0)):
        row = ensemble | {"setting": "one_vs_rest", "auroc": value}
        strategies = ["default_prompt", "prompt_ensemble", "best"]
        with_ensemble = pd.concat([auroc, pd.DataFrame([row])], ignore_index=True)
        table = select(with_ensemble, sure, CANDIDATES, strategies, ["leave_one_out"]).set_index("strategy")
        assert table.candidate.to_dict() == {"default_prompt": "big", "prompt_ensemble": "", "best": "other"}
        assert table.real_auroc.to_dict() == {"default_prompt": 0.7, "prompt_ensemble": value, "best": 0.9}
        assert table.right["prompt_ensemble"] == right
        assert table.regret["prompt_ensemble"] == pytest.approx(0.9 - value)


def test_strategies_belong_to_models_prompts_or_both():
    every = ["largest_model", "default_prompt", "prompt_ensemble", "random", "swsa_cutpaste"]
    assert of_selection("model", every) == ["largest_model", "random", "swsa_cutpaste", "best"]
    assert of_selection("prompt", every) == ["default_prompt", "prompt_ensemble", "random", "swsa_cutpaste", "best"]


def test_strategies_beyond_the_paper():
    auroc, sure = tables([0.6, 0.7, 0.8], {"one_vs_rest": [0.7, 0.9, 0.8]})
    other, _ = tables([0.9, 0.8, 0.1], {"one_vs_rest": [0.7, 0.9, 0.8]}, task="u")
    both = pd.concat([auroc, other])
    second = both[both["validation"] == "cutpaste"].assign(validation="diffusion", auroc=[0.5] * 12)
    ensemble = pd.DataFrame(
        [("t", "rank_ensemble", "real", "", "one_vs_rest", "all", 0.95)],
        columns=["task", "candidate", "validation", "protocol", "setting", "n_anomalies", "auroc"],
    )
    quality = pd.DataFrame(
        [("t", name, "hits", value) for name, value in zip(CANDIDATES.candidate, (0.1, 0.3, 0.2), strict=True)],
        columns=["task", "candidate", "strategy", "quality"],
    )
    strategies = ["swsa_combined", "fixed_best_cutpaste", "rank_ensemble", "hits"]
    every = pd.concat([both, second, ensemble], ignore_index=True)
    table = select(every, sure, CANDIDATES, strategies, ["leave_one_out"], quality).set_index(["task", "strategy"])
    assert table.candidate["t"].to_dict() == {
        "swsa_combined": "small",  # ranks 3, 2, 1 by CutPaste, and all the same by diffusion
        "fixed_best_cutpaste": "big",  # means .75, .75, .45: the first of the two
        "rank_ensemble": "",
        "hits": "other",
    }
    assert table.candidate["u", "fixed_best_cutpaste"] == "big" and table.candidate["u", "hits"] == ""
    assert table.right["t"].to_dict() == {"swsa_combined": 0, "fixed_best_cutpaste": 0, "rank_ensemble": 1, "hits": 1}
    assert table.n_tied["t", "fixed_best_cutpaste"] == 2
    assert (table.source == "").all()


def test_a_table_of_qualities_without_rows_is_that_of_a_config_without_such_strategies():
    auroc, sure = tables([0.6, 0.7, 0.8], {"one_vs_rest": [0.7, 0.9, 0.8]})
    nothing = pd.DataFrame(columns=["task", "candidate", "strategy", "quality"])
    given = (auroc, sure, CANDIDATES, STRATEGIES, ["leave_one_out"])
    pd.testing.assert_frame_equal(select(*given, nothing), select(*given))


def test_two_rows_of_one_fact_are_refused():
    auroc, sure = tables([0.6, 0.7, 0.8], {"one_vs_rest": [0.7, 0.9, 0.8]})
    with pytest.raises(ValueError, match="duplicate"):
        select(pd.concat([auroc, auroc]), sure, CANDIDATES, STRATEGIES, ["leave_one_out"])
