"""The score stage: all tasks at once equal one task at a time, in value and in order; the file holds what it got."""

import numpy as np
import pytest
import scored
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from swsa_core.basics.errors import InputError
from swsa_core.detectors import knn_score, score_knn
from swsa_core.detectors.knn import l2_normalized
from swsa_core.detectors.score_knn import overlapping, score_all
from swsa_core.detectors.scores import Features


def one_by_one(queries, bank, sizes, k, distance="squared_l2"):
    """(n, T): each task by itself, in float64."""
    banks = np.split(bank, np.cumsum(sizes)[:-1])
    return np.stack([knn_score(queries, one, k, distance=distance) for one in banks], axis=1)


def assert_same_order_and_ties(scores, expected):
    for column, other in zip(scores.T, expected.T, strict=True):
        np.testing.assert_array_equal(rankdata(column), rankdata(other))


def clustered(generator, n, d):
    return generator.normal(size=(n, d)) * 0.01 + generator.normal(size=(5, d))[generator.integers(0, 5, n)]


FEATURES = {
    "normal": lambda generator, n, d: generator.normal(size=(n, d)),
    "far from the origin": lambda generator, n, d: generator.normal(size=(n, d)) + 500,
    "clusters": clustered,
    "heavy tails": lambda generator, n, d: generator.standard_cauchy(size=(n, d)),
    "huge": lambda generator, n, d: generator.normal(size=(n, d)) * 1e25,
    "many ties": lambda generator, n, d: generator.integers(0, 2, size=(n, d)).astype(float) / 3,
    "constant": lambda generator, n, d: np.full((n, d), 0.1),
}


@pytest.mark.parametrize("kind", FEATURES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("distance", ["squared_l2", "l2"])
def test_all_tasks_at_once_give_the_order_of_each_alone(kind, dtype, distance):
    generator = np.random.default_rng(0)
    features = FEATURES[kind](generator, 700, 40).astype(dtype)
    features[:20] = features[600:620]  # test images that are in a bank, and equal test images
    features[20:40] = features[40:60]
    queries, bank = features[:600], features[600:]
    sizes = [30, 3, 7, 60]
    scores = score_all(queries, bank, sizes, 3, distance=distance)
    expected = one_by_one(queries, bank, sizes, 3, distance)
    small = 1e-6 if distance == "squared_l2" else 1e-3  # of an image in the bank the root of a rounding error is left
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=small * expected.max())
    assert_same_order_and_ties(scores, expected)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 12),
    sizes=st.lists(st.integers(2, 6), min_size=1, max_size=5),
    k=st.integers(1, 2),
    levels=st.sampled_from([2, 1000]),
    distance=st.sampled_from(["squared_l2", "l2"]),
)
def test_any_small_data_set(seed, n, sizes, k, levels, distance):
    generator = np.random.default_rng(seed)
    queries, bank = (
        generator.integers(0, levels, size=(n, 3)) / 7,
        generator.integers(0, levels, size=(sum(sizes), 3)) / 7,
    )
    found = score_all(queries, bank, sizes, k, distance=distance)
    assert_same_order_and_ties(found, one_by_one(queries, bank, sizes, k, distance))


def test_the_number_of_threads_changes_no_digit(monkeypatch):
    monkeypatch.setattr(score_knn, "BLOCK", 5000)  # several blocks of tasks
    generator = np.random.default_rng(0)
    queries, bank = (
        generator.normal(size=(300, 16)).astype(np.float32),
        generator.normal(size=(60, 16)).astype(np.float32),
    )
    alone = score_all(queries, bank, [10] * 6, 3)
    np.testing.assert_array_equal(score_all(queries, bank, [10] * 6, 3, threads=3), alone)
    assert_same_order_and_ties(alone, one_by_one(queries, bank, [10] * 6, 3))


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), min_size=1, max_size=12))
def test_overlapping_finds_every_interval_that_touches_another(intervals):
    values, errors = np.array(intervals, dtype=float).T
    touches = np.abs(values[:, None] - values) <= errors[:, None] + errors
    np.testing.assert_array_equal(overlapping(values, errors), touches.sum(axis=1) > 1)


def test_no_test_images():
    assert score_all(np.empty((0, 4)), np.ones((6, 4)), [3, 3], 3).shape == (0, 2)


def test_scores_and_neighbours_of_a_data_set():
    study = scored.study()
    scores = study.scores()
    assert scores.tasks == ["a", "b"]
    for t, support in enumerate(study.supports):
        ids = support["seed_ids"] + support["held_out_ids"]
        real, bank = study.features(study.images, ids), study.features(study.prepared, ids)
        test = study.features(study.images, study.test_ids)
        np.testing.assert_allclose(scores.test["scores"][:, t], knn_score(test, real), rtol=1e-5)
        part = scores.of_task(scores.support, support["task"])
        assert part["image_id"].tolist() == ids
        assert part["held_out"].tolist() == [False] * len(support["seed_ids"]) + [True] * len(support["held_out_ids"])
        assert part["neighbours"][:, 0].tolist() == list(range(len(ids)))  # each is its own nearest
        assert not part["distances"][:, 0].any()
        for source, (features, of, parents) in study.anomalies.items():
            part, mine = scores.of_task(scores.anomalies[source], support["task"]), of == support["task"]
            assert [[ids[row] for row in rows] for rows in part["parents"]] == parents[mine].tolist()
            np.testing.assert_allclose(part["distances"][:, :3].sum(axis=1), knn_score(features[mine], bank), rtol=1e-9)


def test_l2_normalize_is_knn_on_normalised_features():
    study = scored.study()
    scores = study.scores(l2_normalize=True)
    ids = study.supports[0]["seed_ids"] + study.supports[0]["held_out_ids"]
    bank, test = study.features(study.images, ids), study.features(study.images, study.test_ids)
    np.testing.assert_allclose(
        scores.test["scores"][:, 0], knn_score(l2_normalized(test), l2_normalized(bank)), rtol=1e-5
    )


def test_l2_reaches_every_part_of_the_file():
    study = scored.study()
    scores, squared = study.scores(distance="l2"), study.scores()
    for t, support in enumerate(study.supports):
        ids = support["seed_ids"] + support["held_out_ids"]
        real, test = study.features(study.images, ids), study.features(study.images, study.test_ids)
        np.testing.assert_allclose(scores.test["scores"][:, t], knn_score(test, real, distance="l2"), rtol=1e-5)
    for part, other in [(scores.support, squared.support)] + [
        (scores.anomalies[source], squared.anomalies[source]) for source in study.anomalies
    ]:
        np.testing.assert_array_equal(part["neighbours"], other["neighbours"])
        np.testing.assert_allclose(part["distances"] ** 2, other["distances"], rtol=1e-9)


def test_a_file_gives_back_what_was_written(tmp_path):
    study = scored.study(sizes=(8, 3))  # a bank smaller than k + 2
    scores = study.scores()
    score_knn.write(tmp_path / "scores.h5", scores, {"candidate": "vit, small", "n_parameters": 7})
    found = score_knn.read(tmp_path / "scores.h5")
    assert found.attributes == {"candidate": "vit, small", "n_parameters": 7, "k": 3}
    assert found.tasks == scores.tasks
    for part, other in [(found.test, scores.test), (found.support, scores.support)] + [
        (found.anomalies[source], scores.anomalies[source]) for source in ("one", "two", "pool")
    ]:
        assert part.keys() == other.keys()
        for name in part:
            np.testing.assert_array_equal(part[name], other[name])


def test_without_sources_and_without_test_images(tmp_path):
    study = scored.study(n_test=0)
    study.anomalies, study.reconstructions = {}, {}
    score_knn.write(tmp_path / "scores.h5", study.scores(), {"candidate": "one"})
    found = score_knn.read(tmp_path / "scores.h5")
    assert found.anomalies == {}
    assert found.test["scores"].shape == (0, 2)


def test_a_bank_smaller_than_k_is_an_error_with_its_task():
    with pytest.raises(InputError, match=r"task 'b' has a bank of 3 images, too small for knn\.k = 4"):
        scored.study(sizes=(8, 3)).scores(k=4)


def test_features_that_are_missing_are_an_error_with_their_image():
    study = scored.study()
    features, ids = study.prepared
    study.prepared = Features(features[1:], ids[1:])
    with pytest.raises(InputError, match=rf"support.h5 lacks the features of 1 images, first '{ids[0]}'"):
        study.scores()


def test_a_parent_outside_the_support_set_is_an_error():
    study = scored.study()
    study.anomalies["one"].parents[0, 0] = "b/train0"
    with pytest.raises(InputError, match="'one', task 'a', has the parent 'b/train0', which is not in the support set"):
        study.scores()


def test_anomalies_of_an_unknown_task_are_an_error():
    study = scored.study()
    study.anomalies["pool"].tasks[0] = "c"
    with pytest.raises(InputError, match="unknown task 'c'"):
        study.scores()
