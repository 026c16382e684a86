"""The score stage of the head cosine: kNN among features of unit length, where squared distances are 2 - 2 cos."""

from functools import partial

from swsa_core.detectors.head import Head
from swsa_core.detectors.score_knn import HEAD as KNN
from swsa_core.detectors.score_knn import against, by_knn

UNIT_LENGTH = {"distance": "squared_l2", "l2_normalize": True}

HEAD = Head(
    title="cosine",
    about="The sum of the cosine distances to the k nearest normal images.",
    reference="Bergman et al. 2020",
    score=partial(by_knn, knn=UNIT_LENGTH),
    against=partial(against, knn=UNIT_LENGTH),
    settings={"k": "knn.k"},
    numbers=KNN.numbers,
)
