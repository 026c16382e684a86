"""The table of qualities: the test images, the candidates and the strategies that it is about."""

import numpy as np
import pandas as pd
import scored

from swsa_core.datasets import real_validation
from swsa_core.evaluation.consensus import QUALITY, qualities

FUNCTIONS = {"mean": lambda scores: scores.mean(axis=0), "spread": lambda scores: np.ptp(scores, axis=0)}


def test_qualities_of_a_data_set():
    study = scored.study()
    scores = {name: scored.study(seed).scores() for seed, name in enumerate("xyz")}
    table = qualities(scores, study.index, scored.SPEC, FUNCTIONS)
    assert list(table.columns) == QUALITY.columns[1:]
    assert len(table) == 2 * 3 * len(FUNCTIONS)
    rows, _, _ = real_validation(study.index, scored.SPEC, "b")
    ids = study.index.image_id[rows].tolist()
    first = scores["x"]
    place = [list(first.test["image_id"]).index(image_id) for image_id in ids]
    columns = np.stack([of.test["scores"][place, first.tasks.index("b")] for of in scores.values()], axis=1)
    for strategy, quality in FUNCTIONS.items():
        mine = table[(table.task == "b") & (table.strategy == strategy)]
        assert mine.candidate.tolist() == ["x", "y", "z"]
        np.testing.assert_allclose(mine.quality, quality(columns), atol=1e-11)


def test_without_labelled_test_images_there_are_no_qualities():
    study = scored.study()
    index = study.index[(study.index.split == "train") | (study.index["class"] == "a")]
    assert qualities({"x": study.scores()}, index.reset_index(drop=True), scored.SPEC, FUNCTIONS).empty


def test_unreadable_and_repeated_images_count_once():
    study = scored.study()
    scores = {"x": study.scores(), "y": scored.study(1).scores()}
    twice = study.index.loc[study.index.index.repeat(2)].reset_index(drop=True)
    unread = study.index.iloc[-1:].assign(image_id="unreadable")
    for index in (twice, pd.concat([study.index, unread], ignore_index=True)):
        assert qualities(scores, index, scored.SPEC, FUNCTIONS).equals(
            qualities(scores, study.index, scored.SPEC, FUNCTIONS)
        )


def test_without_a_strategy_the_table_is_empty():
    study = scored.study()
    table = qualities({"x": study.scores()}, study.index, scored.SPEC, {})
    assert list(table.columns) == QUALITY.columns[1:] and table.empty
