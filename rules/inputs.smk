"""What rules take as inputs: functions of the wildcards to the paths of results, and of files outside them."""

from functools import cache

from swsa_core.anomalies import SOURCES
from swsa_core.candidates import family_of
from swsa_core.datasets.section import LATER
from swsa_core.detectors import HEADS
from swsa_core.elsewhere.manifest import scores_file
from swsa_core.files import layout


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
    return outside(layout.nameable_ones(family_of(guide).files(guide)))


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
    return outside(layout.nameable_ones(family_of(backbone).files(backbone)))


@cache  # asked for twice, as input and for its times, and each time the data set would be listed
def index_inputs(dataset):
    return checked(STUDY.index_inputs, dataset)


def index_paths(wildcards):
    return index_inputs(wildcards.dataset)


def inputs_of(paths):
    """Input function of those files that `paths` names which can be inputs."""
    return lambda wildcards: outside(layout.nameable_ones(paths(wildcards)))


def pool_paths(wildcards):
    """What the listing of a pool depends on; a pool of drawn images has no files."""
    return checked(STUDY.pool_inputs, wildcards.pool)


def leaks_to_heed(wildcards):
    """The leaks of a data set, where they are more than told of."""
    dataset = wildcards.dataset
    return [] if STUDY.datasets[dataset]["on_leak"] == LATER["on_leak"] else [at("leaks", dataset=dataset)]
