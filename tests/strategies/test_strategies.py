"""The registry: every entry has every fact, names are found, and a new entry is all that a new strategy needs."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from literals import elsewhere

from swsa_core import strategies
from swsa_core.basics.errors import InputError
from swsa_core.candidates.prompts import ENSEMBLE
from swsa_core.config.config import validate
from swsa_core.evaluation.known import Budget, Known
from swsa_core.report import tables
from swsa_core.strategies import STRATEGIES, compare, find, select, split, stem, swsa_combined
from swsa_core.strategies.evidence import Case, Evidence, Pick, Sureness
from swsa_core.strategies.fixed_best import quality as fixed_best_quality
from swsa_core.strategies.strategy import LABELS, MODEL, PROMPT, SUPPORT, TRANSDUCTIVE, Strategy
from swsa_core.strategies.swsa_combined import quality as swsa_combined_quality
from swsa_core.strategies.wording import words

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "strategies.md"
CONFIG = {"datasets": {"d": {"kind": "digits"}}, "sources": {"cutpaste": {}}, "candidates": ["descriptor:hog"]}
EVERY = list(STRATEGIES.items())


def evidence(synthetic=(0.9, 0.8, 0.7), real=(0.6, 0.7, 0.8)):
    """What is known of three candidates in one task and one setting."""
    names = ["big", "middle", "small"]
    return Evidence(
        names=names,
        n_parameters=np.array([3.0, 2.0, 1.0]),
        backbones=["big", "big", "small"],
        budget=Budget(max_members=2),
        tasks=["t"],
        sources=["cutpaste"],
        settings={"t": ["one_vs_rest"]},
        synthetic={("t", "cutpaste", "paper"): np.array(synthetic, dtype=float)},
        real={("t", "one_vs_rest"): np.array(real, dtype=float)},
        detectors={("t", "one_vs_rest", name): 0.75 for name in strategies.detectors()},
        qualities={("t", name): np.array([0.1, 0.3, 0.2]) for name, one in EVERY if one.quality},
        confidence={("t", "cutpaste", "paper", name): Sureness(0.5, 0.4, 0.6) for name in names},
    )


def case(entry):
    """What a pick of an entry is asked for in that evidence."""
    one = STRATEGIES[entry]
    name = f"{stem(entry)}_cutpaste" if one.per_source else entry
    return Case("t", name, "cutpaste" if one.per_source else "", "paper" if one.per_protocol else "", "one_vs_rest")


@pytest.mark.parametrize(("entry", "one"), EVERY, ids=list(STRATEGIES))
def test_every_fact_of_every_entry(entry, one):
    assert isinstance(one, Strategy) and re.fullmatch("[a-z]+(_[a-z]+)*", entry)
    for field in fields(Strategy):
        value = getattr(one, field.name)
        kind = {"str": str, "bool": bool}.get(getattr(field.type, "__name__", ""))
        assert kind is None or isinstance(value, kind), field.name
    assert one.title and one.description and one.sees in (SUPPORT, TRANSDUCTIVE, LABELS)
    assert one.title.count("{}") == one.per_source
    assert one.reference == "" or re.fullmatch(r"[A-Z]\w+ .*\d{4}", one.reference)
    assert one.selections and set(one.selections) <= {MODEL, PROMPT}
    assert not one.recommends or (one.sees == SUPPORT and one.picks_one and one.per_protocol)
    assert not one.stem or one.per_source
    assert not (one.is_detector and one.picks_one)
    assert one.combine is None or one.is_detector
    assert one.quality is None or one.sees == TRANSDUCTIVE
    assert one.quality is None or not (one.per_source or one.per_protocol), "a quality is one per task and candidate"
    assert one.is_bound == (one.sees == LABELS) and not (one.is_bound and one.default)


@pytest.mark.parametrize(("entry", "one"), EVERY, ids=list(STRATEGIES))
def test_every_entry_picks_what_it_says(entry, one):
    found = one.pick(evidence(), case(entry))
    assert isinstance(found, Pick)
    assert (found.candidate in evidence().names) == one.picks_one
    assert (found.outcome is None) == one.picks_one
    nothing = one.pick(evidence(real=[np.nan] * 3), case(entry))
    assert one.picks_unlabelled == (nothing.candidate != "" and one.sees == SUPPORT)


@pytest.mark.parametrize(("entry", "one"), EVERY, ids=list(STRATEGIES))
def test_every_function_of_scores_has_the_shape_it_says(entry, one):
    scores = np.random.default_rng(0).random((20, 3))
    if one.quality:
        assert one.quality(scores).shape == (3,)
    if one.combine:
        known = Known(["a", "a", "b"], {"cutpaste": np.array([[0.9, 0.8, 0.7]])}, scores[:5])
        assert one.combine(scores, known).shape == (20,)


@pytest.mark.parametrize(("entry", "one"), EVERY, ids=list(STRATEGIES))
def test_an_entry_is_found_by_its_names_alone(entry, one):
    if one.per_source:
        assert split(entry) != (entry, "")
        for source in ("cutpaste", "tiny_imagenet"):
            name = f"{stem(entry)}_{source}"
            assert split(name) == (entry, source) and find(name) is one
            assert words(name) == one.title.format(words(source))
    else:
        assert split(entry) == (entry, "") and find(entry) is one
        assert words(entry) == one.title


def test_an_unknown_name_is_refused_with_a_near_one():
    for name in ("luck", "swap_cutpaste", "fixed_best"):
        with pytest.raises(ValueError, match=f"unknown strategy '{name}', (did you mean|known:) "):
            find(name)


def test_titles():
    assert words("swsa_tiny_imagenet") == "SWSA with Tiny-ImageNet"
    assert words("swsa_combined") == "SWSA with all sources"
    assert words("fixed_best_diffusion") == "fixed best by diffusion"
    assert words("hits_anomalous") == "HITS, anomalous first"
    assert [words(name) for name in ("one_vs_closest", "cutpaste", "leave_one_out", "")] == [
        *("one-vs-closest", "CutPaste", "leave one out", ""),
    ]


def test_what_each_strategy_sees():
    seen = {sees: {name for name, one in EVERY if one.sees == sees} for sees in (TRANSDUCTIVE, LABELS)}
    assert seen[TRANSDUCTIVE] == {"rank_ensemble", "model_centrality", "hits", "hits_anomalous", "xie_beni"}
    assert seen[LABELS] == {"best"}


def test_lists_made_of_the_registry():
    sources = ["diffusion", "cutpaste"]
    paper = ["largest_model", "random", "swsa_diffusion", "swsa_cutpaste"]
    assert strategies.defaults(sources, False) == paper
    assert strategies.defaults(sources, True) == [paper[0], "default_prompt", "prompt_ensemble", *paper[1:]]
    further = [
        "swsa",
        "swsa_ensemble",
        "swsa_combined",
        "fixed_best_diffusion",
        "fixed_best_cutpaste",
        "rank_ensemble",
        "model_centrality",
    ]
    assert strategies.listable(sources, False) == [*paper, *further, "hits", "hits_anomalous", "xie_beni"]
    assert strategies.detectors() == [ENSEMBLE, "swsa_ensemble", "rank_ensemble"]
    assert list(strategies.combinations()) == ["swsa_ensemble", "rank_ensemble"]
    assert strategies.judging_by_scores(["xie_beni", "random", "rank_ensemble", "hits"]) == ["hits", "xie_beni"]
    assert strategies.judging_by_scores(strategies.defaults(sources, True)) == []


def test_the_documentation_has_every_strategy_and_its_reference():
    text = DOCS.read_text(encoding="utf-8")
    cited = text[text.index("## Literature") :].split("\n* ")
    for name, strategy in strategies.patterns().items():
        assert f"`{name}`" in text
        if strategy.reference:
            author, year = strategy.reference.split()[0], strategy.reference.split()[-1]
            assert any(author in entry and year in entry for entry in cited), name


def test_swsa_combined_by_hand():
    # ranks (1, 2, 3), (2.5, 1, 2.5)
    assert swsa_combined_quality([[0.9, 0.8, 0.7], [0.5, 0.6, 0.5]]).tolist() == [-1.75, -1.5, -2.75]
    assert swsa_combined_quality([[0.9, 0.8, 0.7]]).tolist() == [-1, -2, -3]


def test_swsa_combined_leaves_undefined_aurocs_out():
    nan = np.nan
    found = swsa_combined_quality([[0.9, 0.8, nan], [0.5, 0.6, nan], [nan, nan, nan]])
    np.testing.assert_array_equal(found, [-1.5, -1.5, nan])


def test_fixed_best_by_hand():
    np.testing.assert_allclose(fixed_best_quality([[0.5, 0.75], [1, 0.25], [np.nan, 0.5]]), [0.75, 0.5])
    assert np.isnan(fixed_best_quality([[np.nan], [np.nan]])).all()


def test_fixed_best_ties_where_the_same_aurocs_come_in_another_order():
    quality = fixed_best_quality([[0.9, 0.7], [0.8, 0.8], [0.7, 0.9]])
    assert quality[0] == quality[1]


def test_what_many_picks_need_is_computed_once(monkeypatch):
    calls = []
    monkeypatch.setattr(swsa_combined, "quality", lambda synthetic: calls.append(1) or np.zeros(3))
    known = evidence()
    for _ in range(3):
        STRATEGIES["swsa_combined"].pick(known, case("swsa_combined"))
    assert len(calls) == 1


def test_a_new_strategy_needs_its_entry_alone(monkeypatch):
    """From the config over the selection to the tables: the candidate with the fewest parameters, for each protocol."""

    def pick(evidence, case):
        assert case.protocol and not case.source
        return evidence.highest(-evidence.n_parameters)

    with pytest.raises(InputError, match="strategies: 'smallest_model' is unknown"):
        validate(CONFIG | {"strategies": ["swsa_cutpaste", "smallest_model"]})
    new = Strategy("the smallest", "the backbone with the fewest parameters", "", SUPPORT, pick, per_protocol=True)
    monkeypatch.setitem(STRATEGIES, "smallest_model", new)
    listed = validate(CONFIG | {"strategies": ["swsa_cutpaste", "smallest_model"]})["strategies"]
    assert "smallest_model" not in validate(CONFIG)["strategies"], "no default"

    candidates = pd.DataFrame({"candidate": ["big", "small"], "n_parameters": [2, 1]})
    rows = [
        (task, name, validation, protocol, setting, "all", value)
        for task in "tu"
        for validation, protocol, setting, values in (
            ("cutpaste", "paper", "", (0.9, 0.8)),
            ("real", "", "one_vs_rest", (0.7, 0.75)),
        )
        for name, value in zip(candidates.candidate, values, strict=True)
    ]
    columns = ["task", "candidate", "validation", "protocol", "setting", "n_anomalies", "auroc"]
    sure = pd.DataFrame(columns=["task", "candidate", "validation", "protocol", "p_best", "p_near", "low", "high"])
    names = strategies.of_selection("model", listed)
    assert names == ["swsa_cutpaste", "smallest_model", "best"]
    picks = select.select(pd.DataFrame(rows, columns=columns), sure, candidates, names, ["paper"])
    mine = picks[picks.strategy == "smallest_model"]
    assert mine.candidate.tolist() == ["small"] * 2 and mine.protocol.tolist() == ["paper"] * 2
    assert mine.right.tolist() == [1, 1] and (mine.source == "").all()

    picks = picks.assign(selection="model", dataset="d")
    row = compare.strategies(picks, seed=0).set_index("strategy").loc["smallest_model"]
    assert (row.sees, row.pick_rate, row.n_tasks) == (SUPPORT, 1, 2)
    assert tables.table1(picks).set_index("strategy").loc["smallest_model", "picks"] == 2
    assert words("smallest_model") == "the smallest"


def test_the_registry_is_light():
    heavy = {"pandas", "scipy", "sklearn", "torch", "matplotlib"}
    code = f"import sys, swsa_core.strategies; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_no_name_of_a_strategy_outside_its_module():
    """Strings alone: words of comments and docstrings, and attributes, may be the same."""
    per_source = [name for name, one in EVERY if one.per_source]
    # numpy has a module "random", and it is an English word; SWSA is the project's name too
    plain = {name for name, one in EVERY if not one.per_source} - {"random", "swsa"}
    # The detector that scores images has its row's name; a prompt picked best in the report, and who wins a close call, are
    # no strategies.
    allowed = {"swsa_core/candidates/prompts.py": {ENSEMBLE}, "swsa_core/report/prompts.py": {"best"}}
    allowed["swsa_core/config/sections.py"] = {"best"}
    for file, place, text in elsewhere("strategies", STRATEGIES):
        begun = any(text.startswith(f"{name}_") for name in per_source) and not text.startswith("swsa_core")
        assert not (begun or text in plain) or text in allowed.get(file, ()), f"{place}: {text!r}"


def test_a_candidate_that_lacks_a_source_is_not_ranked_lower_for_that():
    """By hand: the third is the second of four by the one source; ranks among two are spread as those among four, by 5 / 3."""
    nan = np.nan
    found = swsa_combined_quality([[0.7, 0.8, 0.75, 0.6], [0.8, 0.9, nan, nan]])
    assert found == pytest.approx([-(3 + 10 / 3) / 2, -(1 + 5 / 3) / 2, -2, -4])
