"""Scores from elsewhere: nobody scores what it learnt from, a CSV is checked row by row, and AUROCs are of the pairs."""

import numpy as np
import pandas as pd
import pytest
import scored

from swsa_core.basics.errors import InputError
from swsa_core.config.config import validate
from swsa_core.config.study import study as study_of
from swsa_core.detectors.scores import banks_of
from swsa_core.elsewhere.manifest import ALL, FIT, FOLDS, MANIFEST, NORMAL, ORIGINAL, SCORE, TEST, requests, scores_file
from swsa_core.elsewhere.scores import KEY, read_scores, scores_of
from swsa_core.evaluation.protocols import compare

STUDY = scored.study()
BANKS = banks_of(STUDY.supports)
MADE = {source: (one.tasks, one.parents) for source, one in STUDY.anomalies.items()}


def parents_of(task):
    """{source: (a, P) rows of the bank} of one task."""
    bank = BANKS[task]
    return {
        source: np.array([[bank.index(one) for one in row] for row in parents[tasks == task]], int).reshape(
            (tasks == task).sum(), parents.shape[1]
        )
        for source, (tasks, parents) in MADE.items()
    }


def manifest():
    """What `to_score` writes, without images."""
    rows = [
        ("d", task, one.fold, one.role, f"{one.part}-{one.row}", "x.png")
        for task, bank in BANKS.items()
        for one in requests(len(bank), len(STUDY.test_ids), parents_of(task))
    ]
    return pd.DataFrame(rows, columns=MANIFEST.columns)


def answers(seed=0):
    """A right answer to the manifest, in another order, with rows of another data set and a column of its own."""
    table = manifest().query("role == 'score'")[KEY]
    table = table.assign(score=np.random.default_rng(seed).gamma(2, size=len(table)), remark="")
    return pd.concat([table.sample(frac=1, random_state=1), table.head(3).assign(dataset="other", score=-1)])


def read(table, tmp_path):
    table.to_csv(tmp_path / "given.csv", index=False)
    return read_scores(tmp_path / "given.csv", manifest(), "d")


@pytest.mark.parametrize("n", [2, 3, 5, 7, 24])
def test_no_detector_scores_what_it_learnt_from_or_what_was_made_of_that(n):
    rng = np.random.default_rng(n)
    parents = {"one": rng.integers(0, n, (40, 1)), "two": rng.integers(0, n, (40, 2)), "pool": np.empty((9, 0), int)}
    asked = list(requests(n, 4, parents))

    def rows(role, part, fold=None):
        return [one.row for one in asked if (one.role, one.part) == (role, part) and fold in (None, one.fold)]

    for fold in map(str, range(min(FOLDS, n))):
        learnt = set(rows(FIT, NORMAL, fold))
        assert learnt and {one.part for one in asked if (one.role, one.fold) == (FIT, fold)} == {NORMAL}
        assert learnt.isdisjoint(rows(SCORE, NORMAL, fold))
        for source, of in parents.items():
            assert all(learnt.isdisjoint(of[row]) for row in rows(SCORE, source, fold))
    assert sorted(rows(SCORE, NORMAL)) == list(range(n)) and sorted(rows(SCORE, "one")) == list(range(40))
    assert len(rows(SCORE, "pool")) == 9 * min(FOLDS, n)
    first, second = parents["two"].T % min(FOLDS, n)
    assert sorted(rows(SCORE, "two")) == np.flatnonzero(first == second).tolist()
    assert rows(FIT, ORIGINAL, ALL) == list(range(n)) and rows(SCORE, TEST, ALL) == list(range(4))
    assert [one for one in asked if one.fold != ALL] == list(requests(n, 0, parents))


def test_aurocs_are_those_of_the_pairs_that_one_detector_scored(tmp_path):
    given = read(answers(), tmp_path)
    found = scores_of(STUDY.supports, STUDY.test_ids, MADE, manifest(), given)
    for task, bank in BANKS.items():
        folds = np.arange(len(bank)) % min(FOLDS, len(bank))
        normals = [given[task, str(fold), f"normal-{row}"] for row, fold in enumerate(folds)]
        for source, of in parents_of(task).items():
            wins = []
            for row, parents in enumerate(of):
                judges = set(folds[parents]) if len(parents) else set(folds)
                for fold in judges if len(judges) == 1 or not len(parents) else ():
                    score = given[task, str(fold), f"{source}-{row}"]
                    wins += [score > normal for normal, by in zip(normals, folds, strict=True) if by == fold]
            comparison = compare(found, task, source, "leave_one_out")
            assert comparison.auroc == pytest.approx(np.mean(wins))
        t = found.tasks.index(task)
        expected = [given[task, ALL, f"test-{row}"] for row in range(len(STUDY.test_ids))]
        np.testing.assert_array_equal(found.test["scores"][:, t], expected)


def changed(**cells):
    table = answers()
    for column, value in cells.items():
        table[column] = table[column].astype(object)
        table.iloc[2, table.columns.get_loc(column)] = value
    return table


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (answers().iloc[1:], "lacks 1 row of data set 'd', first task "),
        (pd.concat([answers(), answers().head(1)]), "has several times 1 row of data set 'd'"),
        (
            pd.concat([answers(), answers().head(1).assign(image="x")]),
            "has, though it is not asked for, 1 row.*image 'x'",
        ),
        (changed(score=""), "is '', expected a finite number of 0 or more"),
        (changed(score="nan"), "is 'nan', expected a finite"),
        (changed(score="inf"), "is 'inf', expected a finite"),
        (changed(score=-0.5), "is '-0.5', expected a finite"),
        (
            answers().rename(columns={"score": "value"}),
            r"lacks the columns \['score'\], expected dataset, task, fold, image, score",
        ),
        (pd.DataFrame(), "cannot be read as a CSV of scores"),
    ],
)
def test_other_answers_are_refused_in_one_sentence(table, told, tmp_path):
    with pytest.raises(InputError, match=told):
        read(table, tmp_path)


def test_a_manifest_of_other_images_is_refused(tmp_path):
    given = read(answers(), tmp_path)
    with pytest.raises(InputError, match="is not of the images of task 'a': run images_to_score again"):
        scores_of(STUDY.supports, STUDY.test_ids[1:], MADE, manifest(), given)


CONFIG = {
    "datasets": {"digits": {"kind": "digits"}},
    "sources": {"cutpaste": {}},
    "candidates": ["descriptor:hog"],
}


def test_it_is_a_candidate_with_a_group_of_its_own_and_no_detector():
    without, found = study_of(validate(CONFIG)), study_of(validate(CONFIG | {"scores": {"mine": "a.csv"}}))
    assert list(found.candidates) == ["descriptor-hog", "mine"] and list(found.deployable) == ["descriptor-hog"]
    assert found.given == {"mine": {"name": "mine", "scores": "a.csv"}}
    assert found.leaves["candidate_order"] == ["descriptor:hog", "mine"]
    assert found.leaves["groups"]["mine"] == ["mine", "given"]
    for key in ("candidates", "heads_of", "grid_of", "tasks"):
        assert found.leaves[key] == without.leaves[key], f"{key}: no other candidate is computed again"
    assert "scores" not in without.leaves["config"]
    with pytest.raises(InputError, match="scores: 'descriptor:hog' cannot name a candidate"):
        validate(CONFIG | {"scores": {"descriptor:hog": "a.csv"}})


def test_a_file_that_is_not_there_is_told_with_what_to_do(tmp_path):
    with pytest.raises(
        InputError, match=r"scores.mine: the file .* is not there: run `snakemake images_to_score`.*images.csv"
    ):
        scores_file("mine", str(tmp_path / "a.csv"), "results/d/to_score/images.csv")
