"""A support set is read with all its keys and their types, or refused by the name of its file."""

import json

import pytest

from swsa_core.basics.errors import InputError
from swsa_core.files.support import read_support, read_task_supports
from swsa_core.files.text import write_json

SUPPORT = {
    "dataset": "birds",
    "task": "wren",
    "seed_ids": ["a", "b"],
    "held_out_ids": ["c"],
    "paths": {"a": "a.png", "b": "b.png", "c": "c.png"},
    "skipped": [{"image_id": "d", "path": "d.png", "reason": "cut off"}],
}


def test_what_was_written_is_read(tmp_path):
    for extra in ({}, {"copies": [{"image_id": "a", "copies": ["e"]}], "drawings": ["b"]}):
        write_json(tmp_path / "wren.json", SUPPORT | extra)
        assert read_support(tmp_path / "wren.json") == SUPPORT | extra


OTHERS = {
    **{f"no {key}": {name: value for name, value in SUPPORT.items() if name != key} for key in SUPPORT},
    "a list": [],
    "a number": 3,
    "null": None,
    "numbers for ids": SUPPORT | {"seed_ids": [1, 2]},
    "one text for ids": SUPPORT | {"seed_ids": "ab"},
    "a list of paths": SUPPORT | {"paths": ["a.png"]},
    "an entry that lacks its reason": SUPPORT | {"skipped": [{"image_id": "d", "path": "d.png"}]},
    "an id without a path": SUPPORT | {"held_out_ids": ["c", "x"]},
    "a path without an id": SUPPORT | {"held_out_ids": []},
    "an id twice": SUPPORT | {"held_out_ids": ["c", "a"]},
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_no_support_set_is_refused(tmp_path, what):
    path = tmp_path / "wren.json"
    write_json(path, OTHERS[what])
    with pytest.raises(InputError, match=r"is not the support set of a task \(.*\): delete it and run again") as told:
        read_support(path)
    assert str(path) in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, '{"task": "a", "task": "b"}', "", "{", "\x00", "[1,]"]
)
def test_what_is_no_json_is_refused(tmp_path, text):
    path = tmp_path / "wren.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"cannot be read as JSON, it is damaged .*: delete it and run again") as told:
        read_support(path)
    assert str(path) in str(told.value) and "\n" not in str(told.value) and len(str(told.value)) < 1000


def test_two_files_of_one_task_are_refused(tmp_path):
    paths = [tmp_path / "wren.json", tmp_path / "robin.json"]
    for path, task in zip(paths, ("wren", "robin"), strict=True):
        write_json(path, SUPPORT | {"task": task})
    assert [one["task"] for one in read_task_supports(paths)] == ["wren", "robin"]
    paths[1].write_text(json.dumps(SUPPORT))
    paths[1].with_name(".robin.json.sha256").unlink()
    with pytest.raises(
        InputError, match=r"wren\.json and .*robin\.json are both of task 'wren' .*: delete both and run again"
    ):
        read_task_supports(paths)
