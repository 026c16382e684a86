"""A study whose jobs make several tasks each: the same numbers as with one each, and a result that is gone is made again."""

import pytest
from layouts import draw
from workflow import dry_run, pretend_finished, snakemake

from swsa_core.files.layout import PATHS, at

TASKS = "circle", "square", "triangle"
CONFIG = {
    "results": "results",
    "datasets": {"shapes": {"kind": "classes", "root": "shapes"}},
    "support": {"seeds": 4},
    "sources": {"cutpaste": {"area": [0.02, 0.15], "aspect": [0.3, 0.9]}},
    "candidates": ["descriptor:hog", "descriptor:lbp"],
    "knn": {"k": 2},
    "preparation": {"size": 32},
    "evaluation": {"bootstrap": 100},
}


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """A directory with a finished run of three classes, two tasks in a job, and its config."""
    directory, config = study(tmp_path_factory.mktemp("together"), 2)
    snakemake(directory, config)
    return directory, config


def study(directory, tasks_per_job):
    """A directory with the images of a study, and its config."""
    for seed, name in enumerate(TASKS):
        for split, count in (("train", 6), ("test", 3)):
            for i in range(count):
                draw(directory / "shapes" / split / name / f"{i}.png", seed=100 * seed + 10 * len(split) + i)
    config = CONFIG | {"runtime": {"device": "cpu", "threads": 1, "tasks_per_job": tasks_per_job}}
    return directory, config


def tables(directory):
    """{path below the results: text} of all tables but measured times."""
    results, measured = directory / "results", {"benchmarks", "costs"}
    found = {path.relative_to(results): path for path in results.rglob("*.csv") if measured.isdisjoint(path.parts)}
    root = str(directory)
    return {name: path.read_text().replace(root, "") for name, path in found.items()}


MADE_AGAIN = {
    "anomalies": {"cutpaste_shapes_0", "embed_anomalies"},
    "support": {"split_support_shapes_0", "cutpaste_shapes_0", "cost", "leaks", "embed_support", "embed_anomalies"},
}
BELOW = {
    "score_knn",
    "evaluate",
    "support_curve",
    "select",
    "recommendation",
    "strategies",
    "tables",
    "figures",
    "report",
}


@pytest.mark.parametrize("name", MADE_AGAIN)
def test_a_result_that_is_gone_is_noticed(tmp_path, name):
    """Also that of the second task of a job, though inputs of rules name the first one's alone."""
    directory, config = study(tmp_path, 2)
    pretend_finished(directory, config)
    assert dry_run(directory, config) == {}
    path = lost(directory, name)
    aside = path.rename(path.with_suffix(".aside"))
    assert dry_run(directory, config).keys() == MADE_AGAIN[name] | BELOW
    aside.rename(path)
    assert dry_run(directory, config) == {}


@pytest.mark.study
def test_a_result_that_is_gone_is_made_again(together):
    directory, config = together
    path = lost(directory, "anomalies")
    former, before = path.read_bytes(), tables(directory)
    path.unlink()
    snakemake(directory, config)
    assert path.read_bytes() == former
    assert tables(directory) == before
    assert dry_run(directory, config) == {}


@pytest.mark.study
def test_the_tables_are_those_of_one_task_each(together, tmp_path):
    directory, config = study(tmp_path, 1)
    snakemake(directory, config)
    one_each, several = tables(directory), tables(together[0])
    assert one_each.keys() == several.keys()
    assert {str(name) for name in several if one_each[name] != several[name]} == set()


def lost(directory, name):
    """The result `name` of the second task of a job."""
    fields = {"dataset": "shapes", "task": TASKS[1], "source": "cutpaste"}
    return directory / at("results", name, **{one: fields[one] for one in fields if f"{{{one}}}" in PATHS[name]})
