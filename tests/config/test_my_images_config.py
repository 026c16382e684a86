"""config/my_images.yaml, with and without the lines that it holds as comments."""

import re
from dataclasses import replace
from pathlib import Path

import yaml
from layouts import classes

from swsa_core.candidates import FAMILIES, family_of
from swsa_core.candidates.licences import licence_of
from swsa_core.candidates.mistakes import check_model
from swsa_core.candidates.prefetch import of_libraries
from swsa_core.candidates.prompts import prompts
from swsa_core.config.config import validate
from swsa_core.config.study import study
from swsa_core.plan.costs import backbone_cost

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "config" / "my_images.yaml").read_text(encoding="utf-8")
HEADS = ("", " cosine", " mahalanobis", " patch")
DOCS = (ROOT / "docs" / "candidates.md").read_text(encoding="utf-8")


def test_it_selects_no_prompts_as_it_is():
    assert validate(yaml.safe_load(TEXT))["clip"] is None


def test_where_nothing_was_downloaded_it_downloads_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    classes(tmp_path / "data" / "mine", ["good"])
    for library in ("torchvision", "timm"):
        monkeypatch.setitem(FAMILIES, library, replace(FAMILIES[library], cached=lambda candidate: False))
    found = study(validate(yaml.safe_load(TEXT)))
    candidates = found.config["candidates"]
    assert of_libraries(candidates) == []
    assert len(of_libraries(found.missing.values())) == len(found.left_out) == 9
    assert [one["name"] for one in candidates] == [
        *(f"efficientnet_lite{number}{head}" for number in (2, 1, 0) for head in HEADS),
        *("descriptor:hog", "descriptor:lbp", "descriptor:color_histogram"),
    ]
    for candidate in candidates:
        check_model(candidate)
        assert licence_of(candidate) in ("apache-2.0", "no weights")


def uncommented():
    return validate(yaml.safe_load(re.sub(r"#(?=[^ ])", "", TEXT)))


def test_docs_say_what_each_network_is_and_costs():
    """Counted on shapes, which also shows that every name is known and `args` give the input size that is told."""
    networks = [one for one in uncommented()["candidates"] if family_of(one).blank]
    parameters = []
    for candidate in networks:
        check_model(candidate)
        cost, licence = backbone_cost(candidate), licence_of(candidate)
        crop = candidate["crop"] or family_of(candidate).blank(candidate).transform.crop
        row = next(line for line in DOCS.splitlines() if line.startswith(f"| `{candidate['model']}`"))
        told = [cell.strip() for cell in row.split("|")[3:7]]
        assert told == [licence, f"{cost.parameters / 1e6:.1f} M", f"{crop} px", f"{cost.flops / 1e9:.2f}"]
        line = next(line for line in TEXT.splitlines() if candidate["model"] in line)
        assert f"# {cost.parameters / 1e6:.0f} M" in line or f", {cost.parameters / 1e6:.0f} M" in line
        assert candidate["weights"] or (line.endswith(f"; {licence}") and "optional: true" in line)
        parameters.append(cost.parameters)
    assert len(networks) == 23 and parameters == sorted(parameters, reverse=True)


def test_without_the_comment_signs_it_selects_among_own_prompts():
    config = uncommented()
    assert (config["clip"]["model"], config["clip"]["weights"]) == ("open_clip:ViT-B-16-plus-240", "laion400m_e32")
    dataset = config["datasets"]["mine"]
    assert prompts(dataset["templates"], dataset["class_name"]) == [
        ["a photo of a metal nut", "a photo of a metal nut with a scratch"],
        ["a photo of a flawless metal nut", "a photo of a broken metal nut"],
    ]
