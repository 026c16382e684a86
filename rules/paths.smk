"""Paths of results, inputs and logs; all of them are written once, in swsa_core/files/layout.py."""

import json
import os
import re
from contextlib import suppress
from functools import cache, partial
from typing import NamedTuple

from swsa_core.anomalies import SOURCES
from swsa_core.basics.names import SLUG
from swsa_core.candidates import family_of
from swsa_core.config.study import nameable_ones
from swsa_core.datasets.section import LATER
from swsa_core.detectors import HEADS
from swsa_core.elsewhere.manifest import scores_file
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


@cache  # asked for twice, as input and for its times
def support_inputs(dataset, task):
    return checked(STUDY.support_inputs, dataset, task)


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


def noticed_tasks(name, dataset, **known):
    """`tasks_of_jobs`, and the tasks whose result `name` is gone though that of the first of their job is there: as inputs they
    are noticed, and made again."""
    if IN_STORAGE or STUDY.tasks_per_job == 1:
        return tasks_of_jobs(dataset)
    found = []
    for first, *others in STUDY.batches[dataset].values():
        there = os.path.exists(layout.at(STUDY.results, name, dataset=dataset, task=first, **known))
        paths = {task: layout.at(STUDY.results, name, dataset=dataset, task=task, **known) for task in others if there}
        found += [first, *(task for task, path in paths.items() if not os.path.exists(path))]
    return found


def support_files(wildcards):
    """The support sets of a data set, see `tasks_of_jobs`."""
    return [at("support", dataset=wildcards.dataset, task=task) for task in tasks_of_jobs(wildcards.dataset)]


def anomaly_files(wildcards):
    """The anomalies of a data set that one source generated, see `tasks_of_jobs`."""
    known = {"dataset": wildcards.dataset, "source": wildcards.source}
    return [at("anomalies", **known, task=task) for task in tasks_of_jobs(wildcards.dataset)]


def other_files(dataset):
    """What the tasks of a data set take of each other as anomalies."""
    return [at("other_images", dataset=dataset, source=source) for source in STUDY.others_of(dataset)]


def feature_files(of="features", **known):
    """Named inputs: what a detector compares, the `features` of images or the `patches`, of one backbone on one data set."""
    of_pool = {field: value for field, value in known.items() if field != "dataset"}
    of_dataset = {field: value for field, value in known.items() if field == "dataset"}
    return {
        "image_features": at(f"image_{of}", **known),
        "support_features": at(f"support_{of}", **known),
        "anomaly_features": [at(f"anomaly_{of}", **known, source=source) for source in STUDY.generated],
        "pool_features": [at(f"pool_{of}", **of_pool, pool=pool) for pool in STUDY.pools],
        "pool_rows": [at("pool_rows", **of_dataset, pool=pool) for pool in STUDY.pools],
        "nearest_features": [at(f"pool_{of}", **of_pool, pool=pool) for pool in STUDY.pool_of.values()],
        "nearest_rows": [at("nearest_rows", **of_dataset, source=source) for source in STUDY.pool_of],
        "other_images": other_files(**of_dataset) if of_dataset else lambda wildcards: other_files(wildcards.dataset),
    }


def reconstruction_files(wildcards):
    """The seed images of a data set that one source sent through its network and back, see `tasks_of_jobs`."""
    known = {"dataset": wildcards.dataset, "source": wildcards.source}
    return [at("reconstructions", **known, task=task) for task in tasks_of_jobs(wildcards.dataset)]


def scored_files(of="features", **known):
    """`feature_files`, with those of the reconstructions that some protocol asks for."""
    reconstructed = [at(f"reconstruction_{of}", **known, source=source) for source in STUDY.reconstructed]
    return feature_files(of, **known) | {"reconstruction_features": reconstructed}


def compared_by(head):
    """Input function of what a head compares, of the candidate of a job."""

    def files(wildcards):
        backbone = STUDY.shared[wildcards.candidate]
        known = {"dataset": wildcards.dataset, "backbone": backbone}
        patches = {"of": "patches", "grid": STUDY.grids[backbone]} if HEADS[head].patches else {}
        return scored_files(**known, **patches)

    return files


def embedded_files(wildcards):
    """Named inputs: what `compared_by` gives of all backbones, each name behind the number of `STUDY.compared` and a _."""
    found = {}
    for number, (backbone, patches) in enumerate(STUDY.compared):
        known = {"dataset": wildcards.dataset, "backbone": backbone}
        of = {"of": "patches", "grid": STUDY.grids[backbone]} if patches else {}
        found |= {f"_{number}_{name}": files for name, files in feature_files(**of, **known).items()}
    return found


def curve_file(wildcards):
    """The support-size curve of a data set, where it has one."""
    dataset = wildcards.dataset
    return [at("support_curve", dataset=dataset)] if STUDY.has_curve(len(STUDY.tasks[dataset])) else []


def all_curve_files(wildcards):
    """The support-size curves of the data sets that have one."""
    curved = [dataset for dataset, tasks in STUDY.tasks.items() if STUDY.has_curve(len(tasks))]
    return [at("support_curve", dataset=dataset) for dataset in curved]


def made_files(dataset, tasks):
    """Named inputs: what all sources made of some tasks of a data set, or took as it is."""
    others = other_files(dataset)
    return {
        "anomalies": [
            at("anomalies", dataset=dataset, source=source, task=task) for source in STUDY.generated for task in tasks
        ],
        "reconstructions": [
            at("reconstructions", dataset=dataset, source=source, task=task)
            for source in STUDY.reconstructed
            for task in tasks
        ],
        "pool_images": [at("pool_images", pool=pool) for pool in STUDY.pools],
        "pool_rows": [at("pool_rows", dataset=dataset, pool=pool) for pool in STUDY.pools],
        "nearest_rows": [at("nearest_rows", dataset=dataset, source=source) for source in STUDY.pool_of],
        "other_images": others,
        # where images of other tasks are among them, their supports too
        "supports": [at("support", dataset=dataset, task=task) for task in (STUDY.tasks[dataset] if others else tasks)],
    }


def made_for_tasks(wildcards):
    """`made_files` of a data set, with the supports of all tasks."""
    tasks = list(STUDY.tasks[wildcards.dataset])
    supports = [at("support", dataset=wildcards.dataset, task=task) for task in tasks]
    return made_files(wildcards.dataset, tasks) | {"supports": supports}


def first_features(wildcards):
    """The features of a data set's images by the first backbone, whose file says which images can be read."""
    return at("image_features", dataset=wildcards.dataset, backbone=next(iter(STUDY.backbones)))


def given_scores(wildcards):
    """The scores of a candidate that were made elsewhere; a study whose file is not there ends with what to do."""
    if wildcards.candidate in STUDY.scoring:
        return at("called_scores", dataset=wildcards.dataset, candidate=wildcards.candidate)
    given = STUDY.given[wildcards.candidate]
    return own(
        checked(
            scores_file, given["name"], given["scores"], layout.at(STUDY.results, "to_score", dataset=wildcards.dataset)
        )
    )


def before_features(wildcards):
    """The features of a data set's images by the network of a candidate before it is fine-tuned."""
    return at("image_features", dataset=wildcards.dataset, backbone=STUDY.shared[wildcards.candidate])


def exposed_files(wildcards):
    """The features of the fine-tuned networks of a candidate, of all tasks of a data set."""
    known = {"dataset": wildcards.dataset, "candidate": wildcards.candidate}
    return [at("exposed", **known, chunk=chunk) for chunk in STUDY.chunks[wildcards.dataset]]


# As functions: of long lists, beside outputs of other rules, Snakemake hashes the whole list once for each file.
def noticed_support_files(wildcards):
    """The support sets of the study, see `noticed_tasks`."""
    return [at("support", dataset=name, task=task) for name in STUDY.tasks for task in noticed_tasks("support", name)]


def first_support_files(wildcards):
    """The support sets of the study, see `tasks_of_jobs`."""
    return [at("support", dataset=dataset, task=task) for dataset in STUDY.tasks for task in tasks_of_jobs(dataset)]


def all_score_files(wildcards):
    """The scores of all candidates on all data sets."""
    return [at("scores", dataset=dataset, candidate=slug) for dataset in STUDY.datasets for slug in STUDY.candidates]


def cost_files(wildcards):
    """What one image costs each backbone and its heads."""
    return [at("costs", backbone=slug) for slug in STUDY.heads_of]


def noticed_anomaly_files(wildcards):
    """The anomalies of all sources of the study, see `noticed_tasks`, and the pools that they are sampled from."""
    return generated_files(noticed_tasks) + sampled_files()


def first_anomaly_files(wildcards):
    """`noticed_anomaly_files`, of the tasks of `tasks_of_jobs` alone."""
    return generated_files(lambda name, dataset, source: tasks_of_jobs(dataset)) + sampled_files()


def generated_files(tasks_of):
    """The anomalies of all sources that generate them, and the reconstructions.

    tasks_of: gives the tasks by the name of the result, data set and source.
    """
    made = {"anomalies": STUDY.generated, "reconstructions": STUDY.reconstructed if STUDY.tasks_per_job > 1 else []}
    return [
        at(name, dataset=dataset, source=source, task=task)
        for name, sources in made.items()
        for source in sources
        for dataset in STUDY.tasks
        for task in tasks_of(name, dataset, source=source)
    ]


def sampled_files():
    """What tells which images of pools and of other tasks are anomalies."""
    sampled = [at("pool_rows", dataset=dataset, pool=pool) for dataset in STUDY.datasets for pool in STUDY.pools]
    sampled += [at("nearest_rows", dataset=name, source=source) for name in STUDY.datasets for source in STUDY.pool_of]
    sampled += [
        at("other_images", dataset=name, source=source) for name in STUDY.datasets for source in STUDY.others_of(name)
    ]
    return sampled + [at("pool_images", pool=pool) for pool in STUDY.pools]


def own(path):
    """A file outside the results, which each machine has for itself where those lie in object storage."""
    return local(path) if IN_STORAGE else path


def outside(paths):
    """Inputs that lie outside the results.

    In object storage, where each machine has a copy of its own, their times say nothing: those of a younger copy would make all
    again.
    """
    return [own(ancient(path)) if IN_STORAGE else path for path in paths]


def sheet_files(wildcards):
    """The drawn sheets of all that sources made, where a report must fetch them; on a disk an older study may lack some."""
    made = {"sheet": STUDY.generated, "reconstruction_sheet": STUDY.reconstructed} if IN_STORAGE else {}
    return [
        at(name, dataset=dataset, source=source, task=task)
        for name, sources in made.items()
        for source in sources
        for dataset, tasks in STUDY.tasks.items()
        for task in tasks
    ]


def network_files(source):
    """The files that the network of a generated source is made of; none where it has no network."""
    network = SOURCES[source].network
    return outside(checked(network.files, STUDY.config["sources"][source])) if network else []


def trained_names(source):
    """The names in layout.py of what a source trains for a text: the network, and its losses."""
    one = "trained" if STUDY.trained[source].shared(STUDY.config["sources"][source]) else "trained_of_task"
    return one, f"{one}_losses"


def trained_files(source, batch):
    """Named inputs of generating: the unedited ways of the seed images, and for each task the networks of all texts.

    None where a source trains nothing.
    """
    if source not in STUDY.trained:
        return {}
    of_texts = [batch.at(trained_names(source)[0], source=source, text=slug) for slug in STUDY.texts[source]]
    return {"ways": batch.at("ways", source=source), "trained": [path for one in zip(*of_texts) for path in one]}


def ways_to_train_on(source):
    """The unedited ways of the seed images that a network of a source is trained on: of one task, or of all."""

    def files(wildcards):
        tasks = [wildcards.task] if "task" in wildcards.keys() else STUDY.tasks[wildcards.dataset]
        return [at("ways", dataset=wildcards.dataset, source=source, task=task) for task in tasks]

    return files


def guide_files(source):
    """The weights on disk of the CLIP model that a source follows in training."""
    guide = STUDY.guides[source]
    return outside(nameable_ones(family_of(guide).files(guide)))


def graded_files(wildcards):
    """The anomalies of a data set by the sources that grade theirs."""
    return [
        at("anomalies", dataset=wildcards.dataset, source=source, task=task)
        for source in STUDY.graded
        for task in STUDY.tasks[wildcards.dataset]
    ]


def all_trained_losses(wildcards):
    """The losses of all networks that the study trains."""
    tasks = {source: trained_names(source)[1] for source in STUDY.trained}
    return [
        at(name, dataset=dataset, source=source, text=slug, **({"task": task} if task else {}))
        for source, name in tasks.items()
        for dataset in STUDY.datasets
        for task in (STUDY.tasks[dataset] if "of_task" in name else [None])
        for slug in STUDY.texts[source]
    ]


def weights_file(wildcards):
    """What a backbone is made of on disk: weights that the config names, or bundled ones. They are inputs, never outputs."""
    slug = getattr(wildcards, "backbone", None) or wildcards.candidate
    backbone = STUDY.backbones[STUDY.shared.get(slug, slug)]
    return outside(nameable_ones(family_of(backbone).files(backbone)))


@cache  # asked for twice, as input and for its times, and each time the data set would be listed
def index_inputs(dataset):
    return checked(STUDY.index_inputs, dataset)


def index_paths(wildcards):
    return index_inputs(wildcards.dataset)


def inputs_of(paths):
    """Input function of those files that `paths` names which can be inputs."""
    return lambda wildcards: outside(nameable_ones(paths(wildcards)))


def pool_paths(wildcards):
    """What the listing of a pool depends on; a pool of drawn images has no files."""
    return checked(STUDY.pool_inputs, wildcards.pool)


def leaks_to_heed(wildcards):
    """The leaks of a data set, where they are more than told of."""
    dataset = wildcards.dataset
    return [] if STUDY.datasets[dataset]["on_leak"] == LATER["on_leak"] else [at("leaks", dataset=dataset)]


def with_patches(of):
    """(the name of a rule's ending, slugs of its backbones, its output of patches), for each grid and for backbones without."""
    for grid in [None, *dict.fromkeys(STUDY.grids.values())]:
        slugs = [slug for slug in STUDY.backbones if STUDY.grids.get(slug) == grid]
        if slugs:
            yield f"_{grid}" if grid else "", slugs, {"patches": at(f"{of}_patches", grid=grid)} if grid else {}


def tasks_of_chunk(wildcards):
    return STUDY.chunks[wildcards.dataset][wildcards.chunk]


def exposing_threads(wildcards):
    """Threads of a job that fine-tunes."""
    return network_threads(wildcards) if family_of(STUDY.candidates[wildcards.candidate]).gpu else THREADS


def exposing_gpus(wildcards):
    return network_gpus(wildcards) if family_of(STUDY.candidates[wildcards.candidate]).gpu else 0


def made_by_tasks():
    """The files that jobs of several tasks do not make again where they are finished."""
    names = [("ways", source) for source in STUDY.trained] + [("anomalies", source) for source in STUDY.generated]
    names += [("reconstructions", source) for source in STUDY.reconstructed]
    for dataset, tasks in STUDY.tasks.items():
        for name, source in names:
            for task in tasks:
                yield layout.at(STUDY.results, name, dataset=dataset, source=source, task=task)
