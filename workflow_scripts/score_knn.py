from pathlib import Path

import numpy as np

from swsa_core import score_knn, store
from workflow_scripts._job import job

SAME = ("model", "weights_sha256", "transform", "precision")  # in all embeddings that are compared


def sampled_pool(rows, pool):
    """Features, tasks and (no) parents of the pool rows that the tasks sampled."""
    return pool["features"][rows.row.to_numpy()], rows.task.to_numpy(), np.empty((len(rows), 0), dtype=object)


with job(snakemake):
    knn, given = snakemake.params.settings["knn"], snakemake.input
    index = store.read_table(given.images, ["image_id", "split"], text=["image_id", "split"])
    images, backbone = store.read(given.image_features)
    prepared, support_backbone = store.read(given.support_features)
    backbones = {given.image_features: backbone, given.support_features: support_backbone}
    anomalies = {}
    for path in given.anomaly_features:
        features, backbones[path] = store.read(path)
        anomalies[Path(path).stem] = (features["features"], features["task"], features["parents"])
    for path, rows in zip(given.pool_features, given.pool_rows, strict=True):
        rows = store.read_table(rows, ["task", "row"], text=["task"])
        features, backbones[path] = store.read(path)
        anomalies[Path(path).parent.name] = sampled_pool(rows, features)
    store.check_same(backbones, SAME)
    embedded = set(images["image_id"])  # without the images that cannot be read
    test_ids = [image_id for image_id in index.image_id[index.split == "test"] if image_id in embedded]
    scores = score_knn.score_dataset(
        supports=[store.read_json(path) for path in given.supports],
        images=(images["features"], images["image_id"]),
        test_ids=test_ids,
        prepared=(prepared["features"], prepared["image_id"]),
        anomalies=anomalies,
        k=knn["k"],
        l2_normalize=knn["l2_normalize"],
        threads=snakemake.threads,
    )
    described = {name: backbone[name] for name in ("model", "n_parameters", "weights_sha256", "transform", "skipped")}
    described |= {"candidate": backbone["backbone"], "feature_size": images["features"].shape[1], "k": knn["k"]}
    score_knn.write(snakemake.output[0], scores, described)
