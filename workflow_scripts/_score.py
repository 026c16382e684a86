"""What the two score scripts share: the embeddings that they compare."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from swsa_core.anomalies.pool import NEAREST_ROWS, OTHER_IMAGES, POOL_ROWS
from swsa_core.datasets import INDEX
from swsa_core.detectors.scores import Anomalies, Features, check_listed, features_of, reconstructions_of
from swsa_core.files import layout, store
from swsa_core.files.support import read_task_supports

SAME = ("model", "weights_sha256", "transform", "precision")  # in all embeddings that are compared


def read_embeddings(
    given: Any, supports: Sequence[str], patches: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first arguments of a `score_dataset`, as keywords, and the attributes of images.h5; given: the rule's input.

    supports: paths of the support sets.
    The reconstructions of a source are among the anomalies, see `swsa_core.detectors.scores.apart`.
    patches: whether the files hold those of images, which are read from disk as they are asked for.
    """
    read = read_patches if patches else store.read
    what = "patches" if patches else "features"
    index = INDEX.read(given.images)
    images, backbone = read(given.image_features)
    prepared, support_backbone = read(given.support_features)
    backbones = {given.image_features: backbone, given.support_features: support_backbone}
    anomalies = {}
    generated = {path: layout.fields_of(f"anomaly_{what}", path)["source"] for path in given.anomaly_features}
    for path in getattr(given, "reconstruction_features", ()):
        generated[path] = reconstructions_of(layout.fields_of(f"reconstruction_{what}", path)["source"])
    for path, name in generated.items():
        features, backbones[path] = read(path)
        anomalies[name] = Anomalies(features["features"], features["task"], features["parents"])
    for path, rows in zip(given.pool_features, given.pool_rows, strict=True):
        features, backbones[path] = read(path)
        anomalies[layout.fields_of(f"pool_{what}", path)["pool"]] = _sampled(POOL_ROWS.read(rows), features["features"])
    for path, rows in zip(given.nearest_features, given.nearest_rows, strict=True):
        features, _ = read(path)  # of a pool, which is compared above
        source = layout.fields_of("nearest_rows", rows)["source"]
        anomalies[source] = _sampled(NEAREST_ROWS.read(rows), features["features"])
    of_tasks = Features(prepared["features"], prepared["image_id"])
    for path in given.other_images:
        images_of_others = OTHER_IMAGES.read(path)
        found = features_of(of_tasks, images_of_others.image_id, "support.h5")
        source = layout.fields_of("other_images", path)["source"]
        anomalies[source] = _without_parents(found, images_of_others.task)
    store.check_same(backbones, SAME)
    check_listed(index, images["image_id"], backbone["skipped"], (given.images, given.image_features))
    embedded = set(images["image_id"])  # without the images that cannot be read
    embeddings = {
        "supports": read_task_supports(supports),
        "images": Features(images["features"], images["image_id"]),
        "test_ids": [image_id for image_id in index.image_id[index.split == "test"] if image_id in embedded],
        "prepared": of_tasks,
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


def _sampled(rows, features):
    """The pool rows that the tasks sampled, as anomalies."""
    return _without_parents(features[rows.row.to_numpy()], rows.task)


def _without_parents(features, tasks):
    return Anomalies(features, tasks.to_numpy(), np.empty((len(tasks), 0), dtype=object))
