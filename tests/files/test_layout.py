"""Paths of results: written once, and read back."""

import re

import pytest

from swsa_core.files import layout


@pytest.mark.parametrize("name", layout.PATHS)
def test_fields_of_is_the_inverse_of_at(name):
    fields = {field: f"some-{field}_1" for field in re.findall(r"\{(\w+)\}", layout.PATHS[name])}
    path = layout.at("/a/results/of mine", name, **fields)
    assert layout.fields_of(name, path) == fields
    assert "{" not in path


def test_no_two_results_share_a_path():
    assert len(set(layout.PATHS.values())) == len(layout.PATHS)


def test_what_is_no_field_or_no_such_path_is_an_error():
    with pytest.raises(KeyError, match="has no 'task'"):
        layout.at("results", "scores", task="a")
    with pytest.raises(ValueError, match="is not the path of 'scores'"):
        layout.fields_of("scores", "results/digits/images.csv")
