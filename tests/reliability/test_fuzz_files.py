"""What others send: tables, archives, weights and names. Read or refused in a sentence; never executed, never let outside."""

import json
import os
import pickle
import random
import struct
import tarfile
import zipfile

import layouts
import numpy as np
import pytest
import torch
from fuzz import check_sentences

from swsa_core import datasets
from swsa_core.basics.errors import InputError
from swsa_core.candidates.mistakes import check_model
from swsa_core.datasets.section import Dataset
from swsa_core.files import archives, listing
from swsa_core.files.weights import load_weights

CONTROL = ["a\nb", "a\tb", "\x1b[2Jred", "a\x9bm", "a\u2028b", "\u202egnp.exe"]


def sentence_of(function, *args):
    """The sentence by which `function` refuses."""
    with pytest.raises(InputError) as told:
        function(*args)
    check_sentences(str(told.value))
    return str(told.value)


# Names


@pytest.mark.parametrize("name", CONTROL)
def test_a_name_that_a_terminal_would_obey_is_refused_as_file_and_as_class(name, tmp_path):
    layouts.classes(tmp_path / "a", ["x", name], 1, 1, make=layouts.touch)
    layouts.flat_folder(tmp_path / "b", make=layouts.touch)
    layouts.touch(tmp_path / "b" / f"{name}.png")
    for kind, folder in (("classes", "a"), ("folder", "b")):
        told = sentence_of(datasets.index, layouts.spec(kind, tmp_path / folder))
        assert "control character in its name: rename it" in told and repr(name)[1:-1] in told


def test_messages_show_what_a_terminal_would_obey():
    error = InputError("image 'a\x1b[31m\udcff\x00.png' is bad\nnext line: " + "x" * 100_000)
    first, second = str(error).split("\n")
    assert first == r"image 'a\x1b[31m\udcff\x00.png' is bad" and len(second) < 5000


def test_twins_by_case_and_by_unicode_form_stay_apart(tmp_path):
    names = [
        "Bolt",
        "bolt",
        "caf\u00e9",
        "cafe\u0301",
        "CON",
        "-rf",
        "...x",
        "a b",
        "~",
        "%s",
        "$HOME",
        "`x`",
        "x" * 200,
    ]
    spec = layouts.spec("classes", layouts.classes(tmp_path, names, 1, 1, make=layouts.touch))
    if len(listing.directories(tmp_path / "train")) < len(names) - 1:
        pytest.skip("a file system that takes twins for one name")
    kept = [name for name in names if not name.startswith(".")]
    assert sorted(datasets.tasks(spec)) == sorted(kept)
    assert set(datasets.index(spec)["class"]) == set(kept)


# Tables

BIRDS = ("images.txt", "classes.txt", "image_class_labels.txt", "train_test_split.txt")
TABLES = {
    "cub": (layouts.cub, BIRDS),
    "visa": (layouts.visa, ("split_csv/1cls.csv", "candle/image_anno.csv")),
    "flowers": (layouts.flowers, ("setid.mat", "imagelabels.mat")),
}


def damaged(content, draw):
    """The bytes of a table, changed at random."""
    place, end = sorted(draw.choices(range(len(content)), k=2))
    match draw.randrange(8):
        case 0:
            return content.decode("latin-1").encode("utf-16")
        case 1:
            return b"\xef\xbb\xbf" + content
        case 2:
            return content[:place] + b"\0" * draw.randint(1, 9) + content[place:]
        case 3:
            return content[:place]
        case 4:
            return content[:place] + content[place:end] * 50 + content[end:]
        case 5:
            return content[:place] + draw.randbytes(6) + content[place + 6 :]
        case 6:
            return content[:place] + b"../" * draw.randint(1, 4) + content[place:]
        case _:
            return content[:place] + draw.choice([b'"', b",", b" ", b"\r", b"\x1b", b"x" * 300_000]) + content[end:]


@pytest.mark.parametrize("kind", TABLES)
def test_a_damaged_table_is_read_or_refused(kind, tmp_path):
    make, tables = TABLES[kind]
    spec = layouts.spec(kind, make(tmp_path, make=layouts.touch))
    outcomes = []
    for table in tables:
        content = (tmp_path / table).read_bytes()
        for number in range(25):
            (tmp_path / table).write_bytes(damaged(content, random.Random(f"{table} {number}")))
            try:
                index = datasets.index(spec)
                assert all((tmp_path / image).is_file() and ".." not in image for image in index.image_id)
                outcomes.append("read")
            except InputError as error:
                check_sentences(str(error))
                outcomes.append("refused")
        (tmp_path / table).write_bytes(content)
    assert set(outcomes) == {"read", "refused"}


@pytest.mark.parametrize(
    "name", ["../../secret.jpg", "/etc/passwd.jpg", "001.A/../../../secret.jpg", "./a.jpg", "a//b.jpg"]
)
def test_a_table_names_no_image_outside_of_its_data_set(name, tmp_path):
    root = layouts.cub(tmp_path / "a" / "b")
    layouts.draw(tmp_path / "secret.jpg")
    text = (root / "images.txt").read_text()
    (root / "images.txt").write_text(text.replace(text.split("\n")[0], f"1 {name}"))
    assert "no path below the root" in sentence_of(datasets.index, layouts.spec("cub", root))


def test_flowers_of_labels_that_are_not_there(tmp_path):
    from scipy.io import savemat

    root = layouts.flowers(tmp_path, make=layouts.touch)
    for labels in ([0] * 36, [300] * 36, [1.5] * 36):
        savemat(root / "imagelabels.mat", {"labels": np.array([labels])})
        assert "labels other than 1 to 102" in sentence_of(datasets.tasks, layouts.spec("flowers", root))


def test_a_table_of_flowers_that_is_a_bomb_is_not_opened(tmp_path):
    root = layouts.flowers(tmp_path, make=layouts.touch)
    (root / "setid.mat").write_bytes(bytes(2_000_000))
    assert "has 2,000,000 bytes" in sentence_of(datasets.tasks, layouts.spec("flowers", root))


# Archives


def test_an_archive_that_unpacks_to_far_more_than_its_size_is_refused_before(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "SLACK", 1_000_000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("bomb", bytes(50_000_000))
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as file:
        info = tarfile.TarInfo("bomb")
        info.size = 50_000_000
        with open("/dev/zero", "rb") as zeros:
            file.addfile(info, zeros)
    for name in ("a.zip", "a.tgz"):
        out = tmp_path / f"out of {name}"
        assert "would unpack to more than" in sentence_of(archives.unpack, tmp_path / name, out)
        assert not list(out.iterdir())


def test_an_archive_of_endless_members_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_MEMBERS", 100)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for number in range(200):
            file.writestr(f"{number}", b"")
    assert "or 100 files" in sentence_of(archives.unpack, tmp_path / "a.zip", tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 100


# Weights


class Code:
    """What pickle executes when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def tensors(path, header, length=None):
    """A file of safetensors with 60 bytes of data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + bytes(range(25)))
    return path


WEIGHT = {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}
BIAS = {"dtype": "F32", "shape": [3], "data_offsets": [48, 60]}
ABSURD = {
    "a header of 2^60 bytes": ({"weight": WEIGHT, "bias": BIAS}, 2**60),
    "a header of 2^64 - 1 bytes": ({"weight": WEIGHT, "bias": BIAS}, 2**64 - 1),
    "a shape whose size overflows": ({"weight": WEIGHT | {"shape": [2**40, 2**40]}, "bias": BIAS}, None),
    "a negative shape": ({"weight": WEIGHT | {"shape": [-3, 4]}, "bias": BIAS}, None),
    "data beyond the file": ({"weight": WEIGHT | {"data_offsets": [0, 2**50]}, "bias": BIAS}, None),
    "overlapping data": ({"weight": WEIGHT, "bias": BIAS | {"data_offsets": [0, 12]}}, None),
    "data backwards": ({"weight": WEIGHT | {"data_offsets": [48, 0]}, "bias": BIAS}, None),
    "endless nesting": (b'{"a":' * 100_000, None),
    "names with ESC": ({"\x1b[31m": WEIGHT, "bias": BIAS}, None),
    "nothing": ({}, None),
}


@pytest.mark.parametrize("what", ABSURD)
def test_absurd_safetensors_are_refused(what, tmp_path):
    path = tensors(tmp_path / "a.safetensors", *ABSURD[what])
    assert "a.safetensors" in sentence_of(load_weights, torch.nn.Linear(4, 3), path)


@pytest.mark.parametrize("form", ["zip", "before zip", "pickle"])
def test_code_in_a_pickle_is_told_and_not_run(form, tmp_path):
    path, made = tmp_path / "a.pt", tmp_path / "made by the code"
    content = {"weight": Code(made)}
    if form == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    assert "mkdir, which could execute code" in sentence_of(load_weights, torch.nn.Linear(4, 3), path)
    assert not made.exists()


def test_a_folder_of_a_clip_model_does_not_ask_for_its_own_code(tmp_path):
    config = {
        "model_cfg": {"text_cfg": {"hf_tokenizer_name": str(tmp_path), "tokenizer_kwargs": {"trust_remote_code": True}}}
    }
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    told = sentence_of(
        check_model, {"name": "x", "model": f"open_clip:local-dir:{tmp_path}", "weights": None, "args": {}}
    )
    assert "trust_remote_code" in told


def test_a_range_of_values_is_one_that_can_be_divided_by():
    with pytest.raises(ValueError, match="less far apart"):
        Dataset(root="x", value_range=[-1e308, 1e308])
