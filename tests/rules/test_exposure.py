"""What an edit of a fine-tuned candidate computes again, and its report: of finished results only what depends on it."""

import copy

import pytest
from layouts import classes
from workflow import dry_run, pretend_finished

BELOW = {
    "evaluate": 1,
    "recommendation": 1,
    "before_after": 1,
    "select": 1,
    "strategies": 1,
    "tables": 1,
    "figures": 1,
    "report": 1,
}


def config_of(directory):
    return {
        "results": "results",
        "datasets": {"shapes": {"kind": "classes", "root": str(directory / "shapes")}},
        "support": {"seeds": 4},
        "sources": {"cutpaste": {}, "procedural": {"pool": 10}},
        "candidates": [
            "mini:vit_s",
            {"model": "mini:vit_s", "exposure": {"source": "cutpaste"}},
            {"model": "mini:vit_s", "exposure": {"source": "cutpaste", "task": "regression"}},
        ],
        "knn": {"k": 2, "distance": "l2"},
        "preparation": {"size": 32},
        "runtime": {"device": "cpu", "threads": 1, "tasks_per_job": 1},
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    directory = tmp_path_factory.mktemp("exposure")
    classes(directory / "shapes")
    config = config_of(directory)
    pretend_finished(directory, config)
    return directory, config


def jobs(finished, change):
    directory, config = finished
    change(config := copy.deepcopy(config))
    return dry_run(directory, config)


def test_an_edited_exposure_trains_that_candidate_again(finished):
    found = jobs(finished, lambda config: config["candidates"][1]["exposure"].update(epochs=3))
    assert found == {"expose": 2, "score_exposed": 1} | BELOW


def test_neighbours_are_counted_again_without_training(finished):
    found = jobs(finished, lambda config: config["knn"].update(k=1))
    assert found == {"score_knn": 1, "score_exposed": 2, "cost": 1} | BELOW


def test_a_candidate_that_is_added_leaves_the_others_trained(finished):
    added = {"model": "mini:vit_s", "exposure": {"source": "procedural"}}
    found = jobs(finished, lambda config: config["candidates"].append(added))
    assert found == {"expose": 2, "score_exposed": 1} | BELOW
