"""Scores by smaller support sets: what a head would say had there been fewer normal images, without a pass of a network."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from swsa_core.detectors.head import Head
from swsa_core.detectors.scores import Anomalies, Features, Scores, banks_of, features_of
from swsa_core.files.support import Support


def redrawn(
    head: Head, scores: Scores, embeddings: Mapping[str, Any], settings: Mapping[str, Any], dataset: str
) -> Callable[[Sequence[Support]], Scores]:
    """Function of subsets of the support sets to `Scores` of them, by the protocol leave_one_out.

    scores: of the whole support sets; embeddings: the arguments of `Head.score` up to `anomalies`; settings: of the head. The
    anomalies are those whose parents are all in the subset, of the sources of `scores`; there are no test images.
    """
    of_scores = {source: embeddings["anomalies"][source] for source in scores.anomalies}  # in the order of the config
    named = dict(embeddings) | {"anomalies": of_scores, "test_ids": []}
    if head.redraw:
        return head.redraw(scores, dataset=dataset, **named, **settings)
    ids = [image_id for bank in banks_of(embeddings["supports"]).values() for image_id in bank]
    images = Features(np.asarray(features_of(embeddings["images"], ids, "images.h5")), ids)  # not those of test images
    return partial(_scored, head, named | {"images": images}, dict(settings) | {"dataset": dataset})


def _scored(head, embeddings, settings, supports):
    kept = {source: of_banks(made, supports) for source, made in embeddings["anomalies"].items()}
    found: Scores = head.score(**embeddings | {"supports": supports, "anomalies": kept}, **settings, threads=1)
    return found


def of_banks(made: Anomalies, supports: Sequence[Support]) -> Anomalies:
    """The anomalies whose parents are all among the support images of their task."""
    known = {(task, image_id) for task, bank in banks_of(supports).items() for image_id in bank}
    kept = np.array(
        [
            all((task, parent) in known for parent in parents)
            for task, parents in zip(made.tasks, made.parents, strict=True)
        ],
        dtype=bool,
    )
    return Anomalies(made.features[kept], made.tasks[kept], made.parents[kept])
