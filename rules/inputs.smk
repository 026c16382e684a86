"""What rules take as inputs: functions of the wildcards to the paths of results, and of files outside them."""

from functools import cache

from swsa_core.candidates import family_of
from swsa_core.datasets.section import LATER
from swsa_core.detectors import HEADS
from swsa_core.elsewhere.manifest import scores_file
from swsa_core.files import layout


@cache  # asked for twice, as input and for its times
def support_inputs(dataset, task):
    return checked(STUDY.support_inputs, dataset, task)


def own(path):
    """A file outside the results, which each machine has for itself where those lie in object storage."""
    return local(path) if IN_STORAGE else path


def outside(paths):
    """Inputs that lie outside the results.

    In object storage, where each machine has a copy of its own, their times say nothing: those of a younger copy would make all
    again.
    """
    return [own(ancient(path)) if IN_STORAGE else path for path in paths]


def support_files(wildcards):
    """The support sets of a data set, see `tasks_of_jobs`."""
    return [at("support", dataset=wildcards.dataset, task=task) for task in tasks_of_jobs(wildcards.dataset)]


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
def first_support_files(wildcards):
    """The support sets of the study, see `tasks_of_jobs`."""
    return [at("support", dataset=dataset, task=task) for dataset in STUDY.tasks for task in tasks_of_jobs(dataset)]


def all_score_files(wildcards):
    """The scores of all candidates on all data sets."""
    return [at("scores", dataset=dataset, candidate=slug) for dataset in STUDY.datasets for slug in STUDY.candidates]


def cost_files(wildcards):
    """What one image costs each backbone and its heads."""
    return [at("costs", backbone=slug) for slug in STUDY.heads_of]


def weights_file(wildcards):
    """What a backbone is made of on disk: weights that the config names, or bundled ones. They are inputs, never outputs."""
    slug = getattr(wildcards, "backbone", None) or wildcards.candidate
    backbone = STUDY.backbones[STUDY.shared.get(slug, slug)]
    return outside(layout.nameable_ones(family_of(backbone).files(backbone)))


@cache  # asked for twice, as input and for its times, and each time the data set would be listed
def index_inputs(dataset):
    return checked(STUDY.index_inputs, dataset)


def index_paths(wildcards):
    return index_inputs(wildcards.dataset)


def inputs_of(paths):
    """Input function of those files that `paths` names which can be inputs."""
    return lambda wildcards: outside(layout.nameable_ones(paths(wildcards)))


def leaks_to_heed(wildcards):
    """The leaks of a data set, where they are more than told of."""
    dataset = wildcards.dataset
    return [] if STUDY.datasets[dataset]["on_leak"] == LATER["on_leak"] else [at("leaks", dataset=dataset)]
