"""The networks of one task, one after the other: each is fine-tuned and embeds what it may score."""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.candidates.backbone import Backbone
from swsa_core.embedding.embed import in_batches
from swsa_core.exposure.fine_tune import Examples, Tuned, fine_tuned
from swsa_core.exposure.folds import SUPPORT, WHOLE, Request, folds_of, split


def features_of_task(
    backbone: Backbone,
    parts: Mapping[str, np.ndarray],
    requests: Sequence[Request],
    outliers: Examples,
    parents: np.ndarray,
    exposure: Mapping[str, Any],
    generator: Callable[[int], np.random.Generator],
    size: int,
    log: Callable[[str], None] = print,
) -> np.ndarray:
    """Features (rows of all requests, d) float32, request after request.

    parts: {part: n transformed images}; outliers, parents (a, P) rows of the bank: the anomalies that are learnt from;
    generator: function of a network to that of its training; size: images of a batch that embeds.
    Raises InputError where a network has no anomaly to learn from, or its features are not finite.
    """
    found = []
    folds = folds_of(len(parts[SUPPORT]), exposure["folds"])
    for network, wanted in groupby(requests, lambda request: request.network):
        told = "all images" if network == WHOLE else f"all but fold {network}"
        chosen = split(folds != network, parents)
        if not chosen.anomalies.any():
            raise InputError(
                f"{told}: none of {len(parents)} anomalies of {exposure['source']!r} is made from these alone: raise "
                "support.seeds, or take another exposure.source"
            )
        pairs = (chosen.normals, chosen.anomalies), (chosen.stopping_normals, chosen.stopping_anomalies)
        learnt, stopping = (_examples(parts[SUPPORT][normals], outliers, anomalies) for normals, anomalies in pairs)
        with fine_tuned(backbone, learnt, stopping, exposure, generator(network)) as tuned:
            log(f"{told}: {describe(learnt, stopping, tuned)}")
            for request in wanted:
                images = parts[request.part]
                if len(request.rows) < len(images):
                    images = images[request.rows]
                if len(images):
                    found.append(in_batches(backbone, images, size, log)[0][0])
                    if not np.isfinite(found[-1]).all():
                        raise InputError(
                            f"{told}: features after fine-tuning are not finite: lower exposure.learning_rate, which is "
                            f"{exposure['learning_rate']:g}"
                        )
    return np.concatenate(found)


def describe(learnt: Examples, stopping: Examples, tuned: Tuned) -> str:
    """A training as a line of a log."""
    losses = f"loss {tuned.learnt[0]:.3f}, then {tuned.learnt[tuned.best]:.3f} in epoch {tuned.best + 1}"
    held_out = f", {tuned.held_out[tuned.best]:.3f} on {len(stopping.targets)} held-out ones" if tuned.held_out else ""
    return f"{len(learnt.targets)} images, {losses} of {len(tuned.learnt)}{held_out}"


def _examples(normals, outliers, anomalies):
    """Normal images, whose target is 0, and those of the outliers that are chosen."""
    targets = np.concatenate([np.zeros(len(normals), np.float32), outliers.targets[anomalies]])
    return Examples(np.concatenate([normals, outliers.images[anomalies]]), targets)
