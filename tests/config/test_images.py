"""A folder given on the command line, and seeds that follow the number of images."""

from pathlib import Path

import pytest
import yaml
from layouts import touch

from swsa_core.basics.errors import InputError
from swsa_core.config.config import validate

ROOT = Path(__file__).parents[2]


def own(**keys):
    return yaml.safe_load((ROOT / "config" / "my_images.yaml").read_text(encoding="utf-8")) | keys


def folder_of(directory, n):
    for i in range(n):
        touch(directory / f"{i}.png")
    return directory


@pytest.mark.parametrize(("n", "seeds"), [(10, 8), (12, 10), (25, 20), (400, 20)])
def test_seeds_follow_the_images(tmp_path, n, seeds):
    config = validate(own(images=str(folder_of(tmp_path, n))))
    assert config["datasets"]["mine"]["root"] == str(tmp_path)
    assert config["datasets"]["mine"]["support"] == {"seeds": seeds}
    assert "images" not in config


def test_a_folder_that_is_not_there_is_told_by_the_study_not_here():
    assert validate(own(images="nowhere"))["datasets"]["mine"]["support"] == {"seeds": 20}


def test_images_are_those_of_the_only_data_set():
    two = {name: {"kind": "folder", "root": name} for name in ("a", "b")}
    with pytest.raises(InputError, match=r"images: received 'here', .*but the config has a, b: take"):
        validate(own(images="here", datasets=two))
    demo = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    with pytest.raises(InputError, match="root"):
        validate(demo | {"images": "here"})
