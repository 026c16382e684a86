"""config/my_images.yaml, with and without the lines that it holds as comments."""

import re
from pathlib import Path

import yaml

from swsa_core.candidates.prompts import prompts
from swsa_core.config.config import validate

TEXT = (Path(__file__).parents[2] / "config" / "my_images.yaml").read_text(encoding="utf-8")


def test_it_selects_no_prompts_as_it_is():
    assert validate(yaml.safe_load(TEXT))["clip"] is None


def test_without_the_comment_signs_it_selects_among_own_prompts():
    config = validate(yaml.safe_load(re.sub(r"#(?=[^ ])", "", TEXT)))
    assert (config["clip"]["model"], config["clip"]["weights"]) == ("open_clip:ViT-B-16-plus-240", "laion400m_e32")
    dataset = config["datasets"]["mine"]
    assert prompts(dataset["templates"], dataset["class_name"]) == [
        ["a photo of a metal nut", "a photo of a metal nut with a scratch"],
        ["a photo of a flawless metal nut", "a photo of a broken metal nut"],
    ]
