"""t-SNE of a task: the closest class is that of the tables, every image is there once, and the seed decides the rest."""

import numpy as np
import pytest
from scored import SPEC, study

from swsa_core.basics.seeding import rng
from swsa_core.detectors.scores import Features
from swsa_core.evaluation import tsne
from swsa_core.evaluation.closest import closest_of_scores


@pytest.fixture(scope="module")
def made():
    one = study(sizes=(8, 10, 9, 8))
    return one, one.scores()


def grouped(one, scores, task, original=False):
    closest, ids = closest_of_scores(scores, one.index, SPEC, task)
    support = next(support for support in one.supports if support["task"] == task)
    return tsne.groups_of(support, one.images, one.prepared, one.anomalies, ids, original), closest


def test_groups_hold_the_features_of_their_images(made):
    one, scores = made
    groups, _ = grouped(one, scores, "b")
    assert list(groups) == ["one", "two", "pool", tsne.REAL, tsne.PREPARED, tsne.NORMAL]
    bank = one.supports[1]["seed_ids"] + one.supports[1]["held_out_ids"]
    np.testing.assert_array_equal(groups[tsne.NORMAL].features, one.features(one.images, bank))
    np.testing.assert_array_equal(groups[tsne.PREPARED].features, one.features(one.prepared, bank))
    np.testing.assert_array_equal(groups[tsne.REAL].features, one.features(one.images, groups[tsne.REAL].image_ids))
    features, tasks, _ = one.anomalies["two"]
    np.testing.assert_array_equal(groups["two"].features, features[tasks == "b"])
    assert tsne.PREPARED not in grouped(one, scores, "b", original=True)[0]


def test_the_projection_is_decided_by_the_seed_and_keeps_clusters_apart(made):
    one, scores = made
    groups, closest = grouped(one, scores, "a")
    groups["pool"] = groups["pool"]._replace(features=groups["pool"].features + 100)
    first, second = (tsne.project(groups, "a", closest, rng(0, "set", "a", "tsne")) for _ in range(2))
    assert first.equals(second)
    assert list(first.columns) == tsne.TSNE.columns
    assert first.groupby("group", sort=False).size().to_dict() == {
        name: len(group.image_ids) for name, group in groups.items()
    }
    assert not first.duplicated(["group", "image_id"]).any()
    far, near = first[first["group"] == "pool"], first[first["group"] != "pool"]
    places = [part[["x", "y"]].to_numpy() for part in (far, near)]
    nearest = np.linalg.norm(places[0][:, None] - places[1], axis=-1).min()
    within = np.linalg.norm(places[0][:, None] - places[0], axis=-1)
    assert nearest > np.sort(within, axis=1)[:, 1].max()


def test_few_images_can_be_projected():
    groups = {
        tsne.NORMAL: Features(np.eye(3, 4), list("abc")),
        "cutpaste": Features(np.ones((1, 4)), ["cutpaste/0"]),
    }
    assert np.isfinite(tsne.project(groups, "a", "", rng(0, "few"))[["x", "y"]]).all(axis=None)
