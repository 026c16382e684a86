"""What the two score scripts share: the embeddings that they compare."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from swsa_core.anomalies.pool import POOL_ROWS
from swsa_core.datasets import INDEX
from swsa_core.detectors.scores import Anomalies, Features
from swsa_core.files import layout, store
from swsa_core.files.text import read_json

SAME = ("model", "weights_sha256", "transform", "precision")  # in all embeddings that are compared


def read_embeddings(given: Any, patches: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first arguments of a `score_dataset`, as keywords, and the attributes of images.h5; given: the rule's input.

    patches: whether the files hold those of images, which are read from disk as they are asked for.
    """
    read = read_patches if patches else store.read
    what = "patches" if patches else "features"
    index = INDEX.read(given.images)
    images, backbone = read(given.image_features)
    prepared, support_backbone = read(given.support_features)
    backbones = {given.image_features: backbone, given.support_features: support_backbone}
    anomalies = {}
    for path in given.anomaly_features:
        features, backbones[path] = read(path)
        source = layout.fields_of(f"anomaly_{what}", path)["source"]
        anomalies[source] = Anomalies(features["features"], features["task"], features["parents"])
    for path, rows in zip(given.pool_features, given.pool_rows, strict=True):
        features, backbones[path] = read(path)
        anomalies[layout.fields_of(f"pool_{what}", path)["pool"]] = _sampled(POOL_ROWS.read(rows), features)
    store.check_same(backbones, SAME)
    embedded = set(images["image_id"])  # without the images that cannot be read
    embeddings = {
        "supports": [read_json(path) for path in given.supports],
        "images": Features(images["features"], images["image_id"]),
        "test_ids": [image_id for image_id in index.image_id[index.split == "test"] if image_id in embedded],
        "prepared": Features(prepared["features"], prepared["image_id"]),
        "anomalies": anomalies,
    }
    size = np.asarray(images["features"][:1]).shape[-1]
    return embeddings, backbone | {"feature_size": size}


def read_patches(path: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """As `store.read`, with the patches of a file, as its `features`, still on disk."""
    arrays, attributes = store.read(path, without=["patches"])
    return arrays | {"features": store.OnDisk(path, "patches")}, attributes


def describe(backbone: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that a scores file takes over from those of the embeddings."""
    names = ("model", "n_parameters", "feature_size", "weights_sha256", "transform", "skipped")
    return {name: backbone[name] for name in names}


def _sampled(rows, pool):
    """The pool rows that the tasks sampled, as anomalies without parents."""
    return Anomalies(
        pool["features"][rows.row.to_numpy()], rows.task.to_numpy(), np.empty((len(rows), 0), dtype=object)
    )
