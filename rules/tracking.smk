"""What rules track, the version of their stage and the config values that they use. Edit one, and its jobs run again."""

import os
from functools import cache

from swsa_core.basics.devices import requested_gpus, threads_of
from swsa_core.candidates import family_of
from swsa_core.config.leaves import stage_version
from swsa_core.datasets.section import LATER, READING_KEYS
from swsa_core.files.layout import nameable

# Whether results lie in object storage (--default-storage-provider), from where a job has those files alone that its inputs name.
IN_STORAGE = workflow.storage_settings.default_storage_provider is not None


def settings(stage, paths=None, later=None, of=None, datasets=(), **leaves):
    """The params of a rule: `tracked`, which Snakemake records, and `job`, which only tells the script what it needs.

    leaves: {name that the script reads: dotted path of the config value, whose steps may hold wildcards}.
    Snakemake compares the set of params without their names, so all that is tracked goes into one dict. paths: function of
    the wildcards to the files that the rule depends on; of those that cannot be inputs the times are tracked here.
    later: {name: (dotted path, default)} of keys that are tracked only where they are not at their default, so that what was
    made before there were such keys does not run again. of: values of wildcards that the paths of leaves hold and the rule does
    not. datasets: those of whose tasks the script reads results, where it is not that of the wildcards.
    """
    later = later or {}

    def tracked(wildcards):
        known = of or wildcards
        values = {"version": stage_version(stage)}
        values |= {leaf: STUDY.leaf(leaf, known, stage) for leaf in leaves.values()}
        found = {leaf: STUDY.leaf(leaf, known, stage) for leaf, _ in later.values()}
        values |= {leaf: value for leaf, value in found.items() if value is not None}
        hidden = [path for path in paths(wildcards) if not nameable(path)] if paths else []
        return values | {path: os.stat(path).st_mtime_ns for path in hidden}

    def told(wildcards, input):
        values = {"stage": stage, "leaves": leaves, "later": later, "runtime": STUDY.config["runtime"]}
        return values | {"tasks": tasks_of(datasets or filter(None, [wildcards.get("dataset")]))}

    return {
        "tracked": tracked,
        "job": told,
    }


def tasks_of(datasets):
    """{data set: its tasks} for scripts whose inputs name one result of each job of several tasks; None where they name all."""
    return None if STUDY.tasks_per_job == 1 or IN_STORAGE else {name: STUDY.tasks[name] for name in datasets}


def untracked(of=None, **leaves):
    """A further param of a rule: config values that its script reads and that shall not make it run again; of: as above."""
    return lambda wildcards, input: {name: STUDY.leaf(leaf, of or wildcards) for name, leaf in leaves.items()}


def not_tracked(**values):
    """A param that Snakemake does not record, as its function takes the input."""
    return lambda wildcards, input: values


def of_dataset(*keys):
    """Leaves of a rule's data set, for `settings`; the script reads them by `dataset_spec`."""
    return {f"dataset.{key}": f"datasets.{{dataset}}.{key}" for key in keys}


def later_of_dataset(*keys):
    """The keys of a rule's data set that came later, for the `later` of `settings`."""
    return {f"dataset.{key}": (f"datasets.{{dataset}}.{key}", LATER[key]) for key in keys}


# What the listing of a data set's training images depends on.
LISTING = of_dataset("kind", "root", "allow_missing", "normal", "train")
# What it depends on too, and how the images are read: keys that came later.
READING = later_of_dataset(*READING_KEYS)
# What the labels of its real test images depend on.
LABELS = of_dataset("kind", "groups", "min_group_size")


THREADS = STUDY.config["runtime"]["threads"]
DEVICE = STUDY.config["runtime"]["device"]


def network_gpus(wildcards):
    """GPUs of a job that computes with a network. It is a function because the executor is known only after parsing."""
    return gpus_of_a_job(elsewhere=workflow.remote_exec or workflow.non_local_exec)


@cache  # asked for by each job, and each time the devices would be looked for
def gpus_of_a_job(elsewhere):
    return requested_gpus(DEVICE, elsewhere=elsewhere)


def network_threads(wildcards):
    """Threads of a job that computes with a network: on a GPU of this machine, its share of the cores."""
    if not workflow.is_main_process or workflow.non_local_exec:
        return THREADS  # Snakemake keeps it within the cores that the job was given
    limit = workflow.global_resources.get("gpu")
    return threads_of(network_gpus(wildcards) > 0, workflow.cores, limit and limit.value, THREADS)


def embedding_gpus(wildcards):
    """GPUs of an embedding job: some families are computed on the CPU."""
    return network_gpus(wildcards) if family_of(STUDY.backbones[wildcards.backbone]).gpu else 0


def embedding_threads(wildcards):
    """Threads of an embedding job."""
    return network_threads(wildcards) if family_of(STUDY.backbones[wildcards.backbone]).gpu else THREADS


def exposing_threads(wildcards):
    """Threads of a job that fine-tunes."""
    return network_threads(wildcards) if family_of(STUDY.candidates[wildcards.candidate]).gpu else THREADS


def exposing_gpus(wildcards):
    return network_gpus(wildcards) if family_of(STUDY.candidates[wildcards.candidate]).gpu else 0
