"""What an edit of heads computes again: of finished embeddings nothing, but for patches that are not there."""

import copy

import pytest
from layouts import draw
from workflow import dry_run, pretend_finished

EMBEDDING = ("embed_images", "embed_support", "embed_anomalies", "embed_pool")
PATCHED = [f"{stage}_grid_4" for stage in EMBEDDING]


def config_of(directory, *heads, **sections):
    return {
        "results": "results",
        "datasets": {"shapes": {"kind": "classes", "root": str(directory / "shapes")}},
        "support": {"seeds": 4},
        "sources": {"cutpaste": {}, "procedural": {"pool": 10}},
        "candidates": [{"model": "mini:resnet_s", "heads": list(heads)}, "descriptor:hog"],
        "knn": {"k": 2},
        "patch": {"grid": 4},
        "preparation": {"size": 32},
        "runtime": {"device": "cpu", "threads": 1},
    } | sections


def with_images(directory):
    for name in ("circle", "square"):
        for split, count in (("train", 6), ("test", 3)):
            for i in range(count):
                draw(directory / "shapes" / split / name / f"{i}.png", seed=i)
    return directory


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A directory with a study of three heads that is finished, and its config."""
    directory = with_images(tmp_path_factory.mktemp("heads"))
    config = config_of(directory, "knn", "cosine", "patch")
    pretend_finished(directory, config)
    assert dry_run(directory, config) == {}
    return directory, config


def jobs(directory, config):
    """The jobs of embedding and scoring alone."""
    return {rule: n for rule, n in dry_run(directory, config).items() if rule.startswith(("embed_", "score_"))}


def edited(config, section, value):
    return copy.deepcopy(config) | {section: value}


def test_heads_are_added_and_removed_without_embedding(finished):
    directory, _ = finished
    assert jobs(directory, config_of(directory, "knn", "cosine", "patch", "mahalanobis")) == {"score_mahalanobis": 1}
    assert jobs(directory, config_of(directory, "knn", "patch")) == {}
    assert jobs(directory, config_of(directory, "knn", "cosine")) == {}, "patches that are there are left there"


def test_the_first_head_of_patches_embeds_its_backbone_once(tmp_path):
    with_images(tmp_path)
    pretend_finished(tmp_path, config_of(tmp_path, "knn"))
    found = jobs(tmp_path, config_of(tmp_path, "knn", "patch"))
    assert {rule: n for rule, n in found.items() if rule.startswith("embed_")} == dict.fromkeys(PATCHED, 1)
    assert found["score_patch"] == 1


def test_settings_of_one_head_do_not_touch_the_others(finished):
    directory, config = finished
    assert jobs(directory, edited(config, "knn", {"k": 3})) == {"score_knn": 2, "score_cosine": 1}
    assert jobs(directory, edited(config, "patch", {"grid": 4, "bank": 50})) == {"score_patch": 1}
    found = jobs(directory, edited(config, "patch", {"grid": 8}))
    assert {rule for rule in found if rule.startswith("embed_")} == {f"{stage}_grid_8" for stage in EMBEDDING}
    assert found["score_patch"] == 1 and found.get("embed_images") is None


def test_rules_of_selection_embed_and_score_nothing(finished):
    directory, config = finished
    assert jobs(directory, edited(config, "selection", {"max_members": 2})) == {}
    recommended = edited(config, "strategies", ["swsa", "swsa_ensemble"])
    assert jobs(directory, recommended) == {}
    assert jobs(directory, edited(recommended, "selection", {"max_ms": 40})) == {}
