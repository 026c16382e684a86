"""Heads beyond kNN: agreement with scikit-learn, what is left out of a bank, and every protocol against plain loops."""

import numpy as np
import pytest
import scored
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors

from swsa_core.detectors import DEFAULT, HEADS, Head, patch, score_cosine, score_mahalanobis, score_patch
from swsa_core.detectors.mahalanobis import mahalanobis
from swsa_core.detectors.patch import highest_patch_scores, patch_scores, spread_over
from swsa_core.detectors.scores import Features, apart, once_each
from swsa_core.evaluation.protocols import compare

PATCHES = (3, 4)  # of an image, and numbers of each


@pytest.mark.parametrize(("name", "head"), HEADS.items(), ids=list(HEADS))
def test_every_fact_of_every_head(name, head):
    assert isinstance(head, Head) and head.title and head.about.endswith(".") and head.reference[-4:].isdigit()
    assert callable(head.score) and isinstance(head.version, int) and isinstance(head.patches, bool)
    assert head.numbers({"knn": {"k": 3}, "patch": {"grid": 14}}) >= 2
    assert DEFAULT in HEADS


@pytest.mark.parametrize("shape", [(10, 5), (10, 200), (30, 1280), (50, 20)])
def test_mahalanobis_is_scikit_learn_s(shape):
    generator = np.random.default_rng(0)
    bank = generator.normal(size=shape) * generator.uniform(0.1, 3, shape[1]) + 5
    queries = generator.normal(size=(7, shape[1])) + 5
    expected = np.sqrt(LedoitWolf().fit(bank).mahalanobis(queries))
    np.testing.assert_allclose(mahalanobis(queries, bank), expected, rtol=1e-9)
    left_out = generator.integers(-1, shape[0], size=(7, 2))
    for found, query, gone in zip(mahalanobis(queries, bank, np.arange(7), left_out), queries, left_out, strict=True):
        kept = np.delete(bank, gone[gone >= 0], axis=0)
        assert found == pytest.approx(np.sqrt(LedoitWolf().fit(kept).mahalanobis(query[None])[0]), rel=1e-9)


def test_mahalanobis_of_tiny_banks_is_finite_and_of_none_an_error():
    for bank in (np.array([[1.0, 2, 3]]), np.ones((4, 3)), np.array([[1.0, 0, 0], [0, 1, 0]])):
        found = mahalanobis(np.array([[5.0, 5, 5], [1, 2, 3]]), bank)
        assert np.isfinite(found).all() and (found >= 0).all()
    with pytest.raises(ValueError, match="none of the 2 rows"):
        mahalanobis(np.ones((1, 3)), np.eye(2, 3), np.array([0]), np.array([[0, 1]]))


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float16)


def nearest_patch(image, bank):
    """By scikit-learn, in float64: the largest distance of a patch to its nearest one."""
    flat = bank.reshape(-1, bank.shape[2]).astype(float)
    return NearestNeighbors(n_neighbors=1).fit(flat).kneighbors(image.astype(float))[0][:, 0]


@pytest.mark.parametrize("block", [patch.BLOCK, 2000])
def test_patch_scores_are_those_of_a_plain_loop(monkeypatch, block):
    monkeypatch.setattr(patch, "BLOCK", block)
    queries, bank = drawn(9, 49, 20) + np.float16(3), drawn(6, 49, 20, seed=1) + np.float16(3)
    found = patch_scores(queries, bank)
    expected = np.array([nearest_patch(image, bank) for image in queries])
    np.testing.assert_allclose(found.scores, expected.max(axis=1), rtol=1e-6)
    np.testing.assert_allclose(found.maps, expected, rtol=2e-3)


@pytest.mark.parametrize("m", [1, 6, 40])
@pytest.mark.parametrize("spread", [0.01, 1, 5])
@pytest.mark.parametrize("block", [patch.IMAGES, 5000])
def test_without_maps_scores_and_nearest_images_are_the_same(monkeypatch, m, spread, block):
    monkeypatch.setattr(patch, "IMAGES", block)
    bank = drawn(m, 49, 20, seed=1) + np.float16(3)
    near = bank[np.arange(9) % m] + np.float16(spread) * drawn(9, 49, 20)
    for queries in (near, drawn(9, 49, 20), np.concatenate([bank, bank])):
        whole, quick = patch_scores(queries, bank), highest_patch_scores(queries, bank)
        np.testing.assert_array_equal(quick.scores, whole.scores)
        distinct = whole.scores > 0  # at a distance of 0 rounding decides which image is nearest
        np.testing.assert_array_equal(quick.nearest[distinct], whole.nearest[distinct])
        assert quick.maps is None


@pytest.mark.parametrize("scores", [patch_scores, highest_patch_scores])
def test_images_of_one_colour_are_as_near_as_they_are(scores):
    bank, queries = np.ones((5, 49, 20)), np.full((3, 49, 20), 3.0)
    np.testing.assert_allclose(scores(queries, bank).scores, np.sqrt(20 * 4))
    assert (scores(bank, bank).scores == 0).all()


@pytest.mark.parametrize("scores", [patch_scores, highest_patch_scores])
def test_patches_that_are_not_finite_have_no_score(scores):
    with pytest.raises(ValueError, match="NaN or infinite"):
        scores(np.full((1, 49, 20), np.nan), drawn(6, 49, 20))


def test_an_image_that_is_left_out_takes_all_of_its_patches():
    bank = drawn(6, 49, 20)
    rows, left_out = np.array([0, 0, 5]), np.array([[-1, -1], [0, 3], [5, -1]])
    found = patch_scores(bank, bank, rows, left_out)
    assert found.scores[0] == 0
    for row, gone, score in zip(rows, left_out, found.scores, strict=True):
        kept = np.delete(bank, gone[gone >= 0], axis=0)
        assert score == pytest.approx(nearest_patch(bank[row], kept).max(), rel=1e-6)
    with pytest.raises(ValueError, match="none of the 6 images"):
        patch_scores(bank, bank, np.array([0]), np.arange(6)[None])


def test_a_bank_is_bounded_with_as_many_patches_of_each_image():
    kept = spread_over(10, 49, 200, np.random.default_rng(0))
    assert kept.shape == (10, 20) and all(
        len(set(row)) == 20 and row.max() < 49 for row in kept.tolist() for row in [np.array(row)]
    )
    np.testing.assert_array_equal(kept, spread_over(10, 49, 200, np.random.default_rng(0)))
    assert spread_over(10, 49, 10**6, np.random.default_rng(0)).shape == (10, 49)
    assert spread_over(10, 49, 3, np.random.default_rng(0)).shape == (10, 1)


def study_of_patches():
    """`scored.study` with patches in place of features."""
    one, generator = scored.study(), np.random.default_rng(7)

    def draw(n):
        return generator.normal(size=(n, *PATCHES)).astype(np.float16)

    one.images, one.prepared = (Features(draw(len(ids)), ids) for _, ids in (one.images, one.prepared))
    for made in (one.anomalies, one.reconstructions):
        made |= {source: part._replace(features=draw(len(part.features))) for source, part in made.items()}
    return one


def given(study):
    names = ("supports", "images", "test_ids", "prepared")
    return {name: getattr(study, name) for name in names} | {"anomalies": study.scored, "dataset": "d"}


def by_mahalanobis(query, bank):
    return np.sqrt(LedoitWolf().fit(bank).mahalanobis(query[None])[0])


def by_patches(query, bank):
    return nearest_patch(query, bank).max()


@pytest.mark.parametrize("source", ["one", "two", "pool"])
@pytest.mark.parametrize("protocol", ["paper", "leave_one_out", "paired"])
@pytest.mark.parametrize(
    ("head", "study", "score_of"),
    [
        (score_mahalanobis.score, scored.study(), by_mahalanobis),
        (lambda **known: score_patch.score(bank=10**6, seed=0, **known), study_of_patches(), by_patches),
    ],
    ids=["mahalanobis", "patch"],
)
def test_every_protocol_against_a_plain_loop(head, study, score_of, protocol, source):
    scores = apart(head(**given(study)))
    task, support = "b", study.supports[1]
    ids = support["seed_ids"] + support["held_out_ids"]
    bank = study.features(study.prepared, ids)
    made = study.anomalies[source]
    mine = made.tasks == task
    images, parents = (
        made.features[mine],
        [[ids.index(one) for one in dict.fromkeys(row)] for row in made.parents[mine]],
    )

    def without(query, gone):
        return score_of(query, np.delete(bank, gone, axis=0))

    found = compare(scores, task, source, protocol)
    if protocol == "paper":
        expected = [without(image, []) for image in images]
        normals = [without(bank[row], []) for row in range(len(support["seed_ids"]), len(ids))]
    else:
        expected = [without(image, gone) for image, gone in zip(images, parents, strict=True)]
        normals = [without(bank[row], [row]) for row in range(len(ids))]
    np.testing.assert_allclose(found.scores, expected, rtol=1e-6)
    if protocol == "paired" and source != "pool":
        wins = [
            np.mean([one > without(bank[row], gone) for row in gone])
            for one, gone in zip(expected, parents, strict=True)
        ]
        np.testing.assert_allclose(found.wins[:, 0], wins)
    else:
        np.testing.assert_allclose(found.wins, np.array(expected)[:, None] > np.array(normals))
    real = study.features(study.images, ids)
    of_test = [score_of(image, real) for image in study.features(study.images, study.test_ids)]
    np.testing.assert_allclose(scores.test["scores"][:, 1], of_test, rtol=1e-6)


def by_cosine(query, bank):
    query, bank = (part / np.linalg.norm(part, axis=-1, keepdims=True) for part in (query, bank))
    return np.sort(((query - bank) ** 2).sum(axis=1))[:3].sum()


@pytest.mark.parametrize(
    ("head", "study", "score_of"),
    [
        (lambda **known: score_cosine.HEAD.score(k=3, **known), scored.study(), by_cosine),
        (score_mahalanobis.score, scored.study(), by_mahalanobis),
        (lambda **known: score_patch.score(bank=10**6, seed=0, **known), study_of_patches(), by_patches),
    ],
    ids=["cosine", "mahalanobis", "patch"],
)
def test_a_reconstruction_is_scored_without_its_seed_image(head, study, score_of):
    scores = apart(head(**given(study)))
    assert list(scores.reconstructions) == ["two"] and set(scores.anomalies) == {"one", "two", "pool"}
    made, again = study.anomalies["two"], study.reconstructions["two"]
    for task, support in zip("ab", study.supports, strict=True):
        ids = support["seed_ids"] + support["held_out_ids"]
        bank = study.features(study.prepared, ids)

        def expected(part, task=task, ids=ids, bank=bank):
            rows = np.flatnonzero(part.tasks == task)
            gone = [[ids.index(one) for one in dict.fromkeys(part.parents[row])] for row in rows]
            left = (np.delete(bank, parents, axis=0) for parents in gone)
            return np.array([score_of(part.features[row], bank) for row, bank in zip(rows, left, strict=True)])

        found = compare(scores, task, "two", "reconstructed")
        np.testing.assert_allclose(found.scores, expected(made), rtol=1e-5)
        np.testing.assert_array_equal(found.wins, expected(made)[:, None] > expected(again))
        assert found.normals.tolist() == list(range(len(support["seed_ids"]))) and found.n_normal == len(found.normals)


def test_maps_are_of_what_is_left_out():
    study = study_of_patches()
    scores = score_patch.score(bank=10**6, seed=0, **given(study))
    own = scores.of_task(scores.support, "a")
    np.testing.assert_allclose(own["map"].max(axis=1), own["scores"], rtol=2e-3)
    assert (own["scores_in_bank"] == 0).all() and own["map"].dtype == np.float16
    assert scores.anomalies["two"]["map"].shape == (18, PATCHES[0])


def test_cosine_is_that_of_unit_vectors():
    study = scored.study()
    scores = score_cosine.HEAD.score(k=3, **given(study))
    support = study.supports[0]
    ids = support["seed_ids"] + support["held_out_ids"]
    bank, test = study.features(study.images, ids), study.features(study.images, study.test_ids)
    unit = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in (test, bank)]
    distances = np.sort(2 - 2 * unit[0] @ unit[1].T, axis=1)[:, :3].sum(axis=1)
    np.testing.assert_allclose(scores.test["scores"][:, 0], distances, rtol=1e-5)
    assert scores.attributes["k"] == 3


def test_parents_are_counted_once():
    assert once_each(np.array([[2, 1], [3, 3], [-1, 4]])).tolist() == [[1, 2], [3, -1], [-1, 4]]
