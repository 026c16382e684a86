"""The heads as estimators of scikit-learn."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from swsa_core.detect.estimator import NormalsDetector
from swsa_core.detectors import knn_score
from swsa_core.detectors.mahalanobis import mahalanobis


# The checks' data are many for leaving one out by Mahalanobis distances, which takes their matrix apart once for each.
@parametrize_with_checks([NormalsDetector(head=head) for head in ("knn", "cosine")])
def test_scikit_learn(estimator, check):
    check(estimator)


def test_scores_are_those_of_equation_4():
    rng = np.random.default_rng(0)
    bank, queries = rng.normal(size=(30, 5)), rng.normal(2, 1, (50, 5))
    detector = NormalsDetector(false_alarms=0.1).fit(bank)
    np.testing.assert_allclose(-detector.score_samples(queries), knn_score(queries, bank, 3))
    np.testing.assert_allclose(detector.normals_, knn_score(bank, bank, 3, own=np.arange(30)))
    assert (detector.predict(bank) == 1).all(), "an image of the bank is its own nearest neighbour"
    assert (detector.predict(queries) == -1).mean() > 0.5


def test_mahalanobis_is_an_estimator_too():
    rng = np.random.default_rng(0)
    bank, queries = rng.normal(size=(30, 5)), rng.normal(4, 1, (50, 5))
    detector = NormalsDetector(head="mahalanobis", false_alarms=0.1).fit(bank)
    np.testing.assert_allclose(-detector.score_samples(queries), mahalanobis(queries, bank))
    assert (detector.predict(queries) == -1).all()
    assert (detector.predict(bank) == 1).mean() > 0.9


@pytest.mark.parametrize("wrong", [{"head": "patch"}, {"head": "nearest"}, {"false_alarms": 0}])
def test_values_that_make_no_sense(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        NormalsDetector(**wrong).fit(np.eye(4))
