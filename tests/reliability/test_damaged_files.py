"""A damaged file of a study is refused in one sentence, or read as if nothing were wrong; never another result in silence.

`python benchmarks/damaged_files.py` does the same with many more damages to all files of a study.
"""

import io
from collections import Counter
from functools import partial

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from reliability.damages import CHECKSUM, FIGURES, damaged, files_of, outcome, reader_of, write_network
from scored import study

from swsa_core.anomalies.made import write_anomalies
from swsa_core.anomalies.pool import POOL_ROWS
from swsa_core.datasets import INDEX
from swsa_core.detectors import score_knn
from swsa_core.detectors.cost import COSTS
from swsa_core.elsewhere.manifest import MANIFEST
from swsa_core.evaluation.leaks import LEAKS
from swsa_core.files import store
from swsa_core.files.layout import at
from swsa_core.files.text import write_bytes, write_json, write_text

TASKS = ("a", "b")
WAY = {"x_T": (3, 8, 8), "predicted": (2, 3, 8, 8)}


def png(image):
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return content.getvalue()


def write_task(place, task, support, noise):
    """What a study has of one task."""
    ids = support["seed_ids"] + support["held_out_ids"]
    known = {"dataset": "d", "task": task, "paths": {image_id: f"{image_id}.png" for image_id in ids}, "skipped": []}
    write_json(place("support", task=task), support | known)
    images = list(noise.integers(0, 255, (3, 8, 8, 3), dtype=np.uint8))
    parents = np.array([[one] for one in ids[:3]], object)
    path = place("anomalies", source="cutpaste", task=task)
    write_anomalies(path, images, parents, {"task": task, "source": "cutpaste"})
    write_bytes(place("sheet", source="cutpaste", task=task), png(images[0]))
    way = {name: noise.normal(size=(3, *shape)).astype(np.float32) for name, shape in WAY.items()}
    way |= {"images": np.stack(images), "image_ids": np.array(ids[:3], object)}
    store.write(place("ways", source="text_guided", task=task), way, {"task": task})
    write_network(place("trained", source="text_guided", text=task), ord(task))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Files of a study of two tasks, a few of every format, as the stages write them."""
    root = tmp_path_factory.mktemp("study") / "results"
    place, made, noise = partial(at, str(root), dataset="d"), study(), np.random.default_rng(0)
    INDEX.write(place("images"), made.index)
    embedded = {"features": made.images.features, "image_id": made.images.image_ids}
    store.write(place("image_features", backbone="b"), embedded, {"skipped": "[]", "model": "m"})
    for task, support in zip(TASKS, made.supports, strict=True):
        write_task(place, task, support, noise)
        write_text(f"{at(str(root), 'figures')}/d/{task}.svg", f"<svg><text>{task}</text></svg>")
    store.write(place("reconstruction_features", backbone="b", source="diffusion"), embedded, {"skipped": "[]"})
    manifest = pd.DataFrame({name: [f"{name} {row}" for row in range(4)] for name in MANIFEST.columns})
    MANIFEST.write(place("to_score"), manifest)
    score_knn.write(place("scores", candidate="b"), made.scores(), {"candidate": "b", "skipped": "[]"})
    POOL_ROWS.write(place("pool_rows", pool="p"), pd.DataFrame({"task": ["a", "b"] * 3, "row": range(6)}))
    LEAKS.write(place("leaks"), pd.DataFrame(columns=LEAKS.columns))
    COSTS.write(at(str(root), "costs", backbone="b"), pd.DataFrame({name: [1, 2] for name in COSTS.columns}))
    return root


def test_damage_to_a_file_of_any_kind_is_told(results):
    found = Counter()
    for damage in damaged(results, seed=0, flips=4, per_kind=1):
        what, told = outcome(damage.read, damage.path, damage.expected)
        assert what in ("sentence", "identical"), (damage.kind, damage.what, what, told)
        found[damage.kind] += what == "sentence"
    assert set(found) == {*files_of(results), CHECKSUM} and FIGURES in found
    assert min(found.values()) >= 7, "nearly all damages are told of, not passed over"


def test_images_that_cannot_be_unpacked_are_told_without_a_checksum(results):
    found = Counter()
    for damage in damaged(results, seed=0, flips=6, per_kind=1, checksums=False):
        if damage.kind == "anomalies":
            found[outcome(damage.read, damage.path, damage.expected)[0]] += 1
    assert found["traceback"] == 0 and found["sentence"] >= 3, found


def test_other_contents_are_noticed(results):
    """Without checksums some damages pass in silence: what the test above finds is theirs."""
    found = Counter(
        outcome(damage.read, damage.path, damage.expected)[0]
        for damage in damaged(results, seed=0, flips=4, per_kind=1, checksums=False)
        if damage.path.suffix != ".h5"  # damage in these may end a process
    )
    assert found["silent"] and found["sentence"]


def test_files_are_whole_again_afterwards(results):
    for kind, paths in files_of(results).items():
        for path in paths:
            reader_of(kind)(path)
