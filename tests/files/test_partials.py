"""Leftovers of interrupted runs are found by what makes them, and nothing else is."""

import h5py
import pytest

from swsa_core.files import layout, store
from swsa_core.files.checksums import sidecar
from swsa_core.files.kept import keep
from swsa_core.files.partials import is_written, leftovers
from swsa_core.files.text import replacing


def test_what_the_writers_leave_is_found(tmp_path):
    features, table = (
        tmp_path / layout.at("results", "image_features", dataset="birds", backbone="hog"),
        tmp_path / layout.at("results", "auroc", dataset="birds"),
    )
    with pytest.raises(InterruptedError), store.writer(features, 3, {"features": ((2,), "f4")}, {}):
        raise InterruptedError
    stopped = replacing(table)
    next(stopped.gen).write_text("half a table")
    noted = sidecar(table).with_name(sidecar(table).name + ".tmp")
    noted.touch()
    whole = tmp_path / layout.at("results", "anomalies", dataset="birds", source="diffusion", task="a")
    whole.parent.mkdir(parents=True)
    whole.touch()
    keep([whole])  # a second name: it takes no space, and nothing is begun
    found = [path.relative_to(tmp_path / "results").as_posix() for path in leftovers(tmp_path / "results")]
    assert found == ["birds/.auroc.csv.sha256.tmp", "birds/auroc.csv.tmp", "birds/embeddings/hog/images.h5.partial"]


def test_files_of_others_are_left_alone_wherever_the_results_lie(tmp_path):
    others = [
        "notes.partial",
        "birds/notes.tmp",
        "birds/scores/hog.h5",
        "src/birds/scores/hog.h5.partial",
        ".venv/x.tmp",
    ]
    own = [
        "birds/scores/hog.h5.partial",
        "birds/anomalies/diffusion/a.h5.kept",
        "figures/birds/cost.svg.tmp",
        "birds/trained/text_guided/a/b.safetensors.partial",
    ]
    for name in others + own:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert {path.relative_to(tmp_path).as_posix() for path in leftovers(tmp_path)} == set(own)
    assert leftovers(tmp_path / "nothing") == []


def test_a_file_that_is_being_written_is_known(tmp_path):
    path = tmp_path / "images.h5.partial"
    with h5py.File(path, "w"):
        assert is_written(path)
    assert not is_written(path)
