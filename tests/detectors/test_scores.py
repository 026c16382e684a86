"""images.csv and the files of what was computed from it are of the same images, or two files are named."""

import json

import pandas as pd
import pytest

from swsa_core.basics.errors import InputError
from swsa_core.detectors.scores import check_listed

INDEX = pd.DataFrame({"image_id": list("abcde"), "split": ["train", "train", "test", "test", "test"]})
SKIPPED = json.dumps([{"image_id": "e", "reason": "cut off"}])
FILES = "images.csv", "x.h5"


def test_what_belongs_together_passes():
    check_listed(INDEX, "abcd", SKIPPED, FILES)
    check_listed(INDEX, "cd", SKIPPED, FILES, "test")
    check_listed(INDEX, "cde", "[]", FILES, "test")


@pytest.mark.parametrize(
    ("index", "ids", "skipped", "told"),
    [
        (INDEX[:4], "cde", "[]", r"the former lacks 'e' \(1 in all\)"),
        (INDEX, "c", SKIPPED, r"the latter lacks 'd' \(1 in all\)"),
        (INDEX, "c", "[]", r"the latter lacks 'd' \(2 in all\)"),
        (INDEX[:4], "cd", SKIPPED, r"the former lacks 'e' \(1 in all\)"),
        (pd.concat([INDEX, INDEX[3:4]]), "cd", SKIPPED, r"'d' stands twice in the former \(1 in all\)"),
        (INDEX.assign(split="train"), "cd", SKIPPED, r"the former lacks 'c' \(2 in all\)"),
    ],
)
def test_what_does_not_is_refused_in_both_directions(index, ids, skipped, told):
    with pytest.raises(
        InputError, match=rf"images\.csv and x\.h5 are not of the same images: {told}; delete both and run again"
    ):
        check_listed(index, ids, skipped, FILES, "test")
