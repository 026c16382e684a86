"""Several tasks in one job: the same arrays as one by one, and finished tasks that outlive what ends the job."""

import os
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from workflow import ROOT

import swsa_core.diffusion
import swsa_core.diffusion.generate as generation
from swsa_core import datasets
from swsa_core.anomalies import SOURCES
from swsa_core.files import kept, store
from swsa_core.files.layout import at
from swsa_core.files.text import read_json, write_json

TASKS = "3", "8"
SECTIONS = {"diffusion": {"model": "mini:adm_32", "steps": 3}, "cutpaste": {}}
PREPARATION = {"size": 32, "crop": "center"}
MODEL = [str(ROOT / "models" / "mini" / f"adm_32.{ending}") for ending in ("safetensors", "json")]

needs_model = pytest.mark.skipif(not os.path.exists(MODEL[0]), reason="no mini diffusion model")


class Named(SimpleNamespace):
    """Named files, as Snakemake hands them to a script."""

    def get(self, name, default=None):
        return getattr(self, name, default)


def generate(results, source, *tasks):
    """Run the script for tasks of one job, once Snakemake would have removed their outputs."""
    known = {"dataset": "digits", "source": source}
    made, sheet = ([at(results, name, task=task, **known) for task in tasks] for name in ("anomalies", "sheet"))
    for path in made + sheet:
        if os.path.exists(path):
            os.unlink(path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
    section = SOURCES[source].section(**SECTIONS[source]).model_dump()
    tracked = {"version": 1, "seed": 0, "section": section, "preparation": PREPARATION, "precision": "float32"}
    leaves = {name: name for name in tracked if name != "version"}
    runtime = {"device": "cpu", "batch_size": "auto", "compile": False}
    params = {"tracked": tracked, "job": {"stage": source, "leaves": leaves, "later": {}, "runtime": runtime}}
    supports = [at(results, "support", dataset="digits", task=task) for task in tasks]
    snakemake = SimpleNamespace(
        input=Named(support=supports, network=MODEL if source == "diffusion" else []),
        output=Named(anomalies=made, sheet=sheet),
        params=type("Params", (dict,), {"__getattr__": dict.__getitem__})(params),
        log=[f"{results}/log"],
        threads=1,
    )
    runpy.run_path(str(ROOT / "workflow_scripts" / "generate.py"), {"snakemake": snakemake})
    return made


def supports_in(results):
    index = datasets.index({"kind": "digits", "root": None, "tasks": list(TASKS), "support": {"seeds": 4}}, 0, "digits")
    path = dict(zip(index.image_id, index.path, strict=True))
    for task in TASKS:
        ids = index.image_id[(index.split == "train") & (index["class"] == task)].tolist()[:5]
        place = at(results, "support", dataset="digits", task=task)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        support = {"dataset": "digits", "task": task, "seed_ids": ids[:4], "held_out_ids": ids[4:], "skipped": []}
        write_json(place, support | {"paths": {image_id: path[image_id] for image_id in ids}})
    return results


def same(path, other):
    (arrays, attributes), (others, their_attributes) = store.read(path), store.read(other)
    sheets = [Path(one).with_suffix(".png").read_bytes() for one in (path, other)]
    return (
        attributes == their_attributes
        and sheets[0] == sheets[1]
        and arrays.keys() == others.keys()
        and all(np.array_equal(arrays[name], others[name]) for name in arrays)
    )


@needs_model
def test_tasks_of_one_job_are_those_of_one_each_and_outlive_it(tmp_path, monkeypatch):
    loaded, load = [], swsa_core.diffusion.load_adm
    monkeypatch.setattr(swsa_core.diffusion, "load_adm", lambda *args: loaded.append(args) or load(*args))
    alone, together = (supports_in(str(tmp_path / name)) for name in ("alone", "together"))
    expected = [path for task in TASKS for path in generate(alone, "diffusion", task)]
    assert len(loaded) == 2
    inverted = []

    def invert(*args, original=generation.invert_halves):
        inverted.append(args)
        if len(inverted) == 2:
            raise RuntimeError("the card is lost")
        return original(*args)

    with monkeypatch.context() as patch:
        patch.setattr(generation, "invert_halves", invert)
        with pytest.raises(SystemExit):
            generate(together, "diffusion", *TASKS)
    assert len(inverted) == 2, "the second task ended the job"
    first = at(together, "anomalies", dataset="digits", source="diffusion", task=TASKS[0])
    inode = kept.kept(first).stat().st_ino
    made = generate(together, "diffusion", *TASKS)
    assert len(loaded) == 2 + 1 + 1, "once for each job"
    assert os.stat(first).st_ino == inode, "the finished task is not made again"
    assert all(map(same, made, expected))

    # One task's support changes, and all tasks of the job run again.
    support = at(together, "support", dataset="digits", task=TASKS[1])
    changed = read_json(support)
    changed["seed_ids"][0], changed["held_out_ids"][0] = changed["held_out_ids"][0], changed["seed_ids"][0]
    write_json(support, changed)
    kept.keep(made)
    assert generate(together, "diffusion", *TASKS) == made
    assert os.stat(first).st_ino == inode and same(made[0], expected[0]) and not same(made[1], expected[1])
    assert store.read(made[1])[0]["parents"].ravel().tolist().count(changed["seed_ids"][0]) == 2
    kept.forget(made)
    assert not [name for name in os.listdir(os.path.dirname(first)) if "kept" in name or "partial" in name]


def test_cutpaste_of_several_tasks_is_that_of_one_each(tmp_path):
    alone, together = (supports_in(str(tmp_path / name)) for name in ("alone", "together"))
    expected = [path for task in TASKS for path in generate(alone, "cutpaste", task)]
    assert all(map(same, generate(together, "cutpaste", *TASKS), expected))
