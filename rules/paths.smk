"""Paths of results, logs and benchmarks, all written once in swsa_core/files/layout.py, and which tasks a job has."""

import json
import os
import re
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from swsa_core.basics.names import SLUG
from swsa_core.files import kept, layout

MOST_TOLD = 3  # tasks of a data set whose recommendations are printed at the end
RESULTS = "<results>"
at = partial(layout.at, RESULTS)
stage_log = partial(layout.log, RESULTS)
stage_benchmark = partial(layout.benchmark, RESULTS)


def whereabouts(name):
    """Where a user finds a result: its path on this machine, or its address in object storage."""
    path = layout.at(STUDY.results, name)
    prefix = workflow.storage_settings.default_storage_prefix or ""
    return f"{prefix.rstrip('/')}/{path}" if IN_STORAGE else os.path.abspath(path)


def tell_recommendations():
    """Print what is recommended, for the data sets of few tasks whose results lie on this machine."""
    for dataset, tasks in STUDY.tasks.items():
        path = layout.at(STUDY.results, "recommendation", dataset=dataset)
        # The report has read it: what lies elsewhere, or was touched by a user, is passed over here.
        with suppress(OSError, ValueError), open(path, encoding="utf-8") as stream:
            for one in json.load(stream)["tasks"] if len(tasks) <= MOST_TOLD else ():
                print(f"\n{dataset}, {one['task']}: {one['in_words']} {one['more_images']}")


def one_of(names):
    """Constraint of a wildcard to `names`; to nothing where there are none, as Snakemake takes "" for no constraint."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    dataset=SLUG,
    task=SLUG,
    backbone=SLUG,
    candidate=SLUG,
    chunk="[0-9]+",
    source=SLUG,
    text=SLUG,
    pool=one_of(STUDY.pools),


class Batch(NamedTuple):
    """The tasks that one job of a rule makes something of.

    ending: of the rule's name. of: the fields of its log that are no wildcards, {} where all are. tasks: for each task, the
    fields of its results that are no wildcards.
    """

    ending: str
    of: dict[str, str]
    tasks: list[dict[str, str]]

    def at(self, name, **known):
        """The results `name` of all tasks; fields that a result does not have, as of what tasks share, are passed over."""
        fields = layout.PATHS[name]
        return [
            at(name, **known, **{field: one for field, one in task.items() if f"{{{field}}}" in fields})
            for task in self.tasks
        ]

    def first(self, name):
        """The result `name` of the first task of each job: `tasks_of_jobs`."""
        return self.at(name)[: None if IN_STORAGE else 1]

    def place(self, path, stage):
        """The log or benchmark, by `path`, of the rule's jobs."""
        place = path(stage, "dataset", "chunk" if self.of else "task")
        for field, value in self.of.items():
            place = place.replace(f"{{{field}}}", value)
        return place

    def support_paths(self, wildcards):
        """What the support sets of the tasks depend on."""
        tasks = [(one["dataset"], one["task"]) for one in self.tasks if one]
        tasks = tasks or [(wildcards.dataset, wildcards.task)]
        return list(dict.fromkeys(path for one in tasks for path in support_inputs(*one)))


# One rule for all jobs of a task; a rule for each job of several tasks, whose outputs no wildcards could tell.
BATCHES = (
    [Batch("", {}, [{}])]
    if STUDY.tasks_per_job == 1
    else [
        Batch(
            f"_{name}_{chunk}", {"dataset": name, "chunk": chunk}, [{"dataset": name, "task": task} for task in tasks]
        )
        for name, chunks in STUDY.batches.items()
        for chunk, tasks in chunks.items()
    ]
)


def per_dataset(name):
    """One result of each data set."""
    return [at(name, dataset=dataset) for dataset in STUDY.datasets]


def tasks_of_jobs(dataset):
    """The tasks of a data set whose results inputs name: the first one of each job, which makes and renews those of the others
    with it. With all tasks a plan for thousands would have millions of inputs. Scripts find the others beside them."""
    return list(STUDY.tasks[dataset])[:: 1 if IN_STORAGE else STUDY.tasks_per_job]


def with_patches(of):
    """(the name of a rule's ending, slugs of its backbones, its output of patches), for each grid and for backbones without."""
    for grid in [None, *dict.fromkeys(STUDY.grids.values())]:
        slugs = [slug for slug in STUDY.backbones if STUDY.grids.get(slug) == grid]
        if slugs:
            yield f"_{grid}" if grid else "", slugs, {"patches": at(f"{of}_patches", grid=grid)} if grid else {}


def tasks_of_chunk(wildcards):
    return STUDY.chunks[wildcards.dataset][wildcards.chunk]


def made_by_tasks():
    """The files that jobs of several tasks do not make again where they are finished."""
    names = [("ways", source) for source in STUDY.trained] + [("anomalies", source) for source in STUDY.generated]
    names += [("reconstructions", source) for source in STUDY.reconstructed]
    for dataset, tasks in STUDY.tasks.items():
        for name, source in names:
            for task in tasks:
                yield layout.at(STUDY.results, name, dataset=dataset, source=source, task=task)


def gone_files(wildcards):
    """Results of tasks that are gone though that of the first task of their job, which inputs name, is there.

    Named by the target rule, which records no inputs, they are made again, and what depends on them follows.
    """
    made = [("support", {})] + [("anomalies", {"source": source}) for source in STUDY.generated]
    made += [("reconstructions", {"source": source}) for source in STUDY.reconstructed]
    batches = {} if IN_STORAGE or STUDY.tasks_per_job == 1 else STUDY.batches
    return [
        at(name, dataset=dataset, task=task, **source)
        for name, source in made
        for dataset, chunks in batches.items()
        for first, *others in chunks.values()
        if is_there(name, dataset=dataset, task=first, **source)
        for task in others
        if not is_there(name, dataset=dataset, task=task, **source)
    ]


def is_there(name, **fields):
    """Whether a result lies on this machine."""
    return os.path.exists(layout.at(STUDY.results, name, **fields))
