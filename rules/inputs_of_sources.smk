"""What rules take of the sources of anomalies: what they made, and what they make it with."""

from swsa_core.anomalies import SOURCES
from swsa_core.candidates import family_of
from swsa_core.files import layout


def anomaly_files(wildcards):
    """The anomalies of a data set that one source generated, see `tasks_of_jobs`."""
    known = {"dataset": wildcards.dataset, "source": wildcards.source}
    return [at("anomalies", **known, task=task) for task in tasks_of_jobs(wildcards.dataset)]


def other_files(dataset):
    """What the tasks of a data set take of each other as anomalies."""
    return [at("other_images", dataset=dataset, source=source) for source in STUDY.others_of(dataset)]


def reconstruction_files(wildcards):
    """The seed images of a data set that one source sent through its network and back, see `tasks_of_jobs`."""
    known = {"dataset": wildcards.dataset, "source": wildcards.source}
    return [at("reconstructions", **known, task=task) for task in tasks_of_jobs(wildcards.dataset)]


def first_anomaly_files(wildcards):
    """The anomalies and reconstructions of all sources, see `tasks_of_jobs`, and the pools that they are sampled from."""
    made = {"anomalies": STUDY.generated, "reconstructions": STUDY.reconstructed if STUDY.tasks_per_job > 1 else []}
    return [
        at(name, dataset=dataset, source=source, task=task)
        for name, sources in made.items()
        for source in sources
        for dataset in STUDY.tasks
        for task in tasks_of_jobs(dataset)
    ] + sampled_files()


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


def pool_paths(wildcards):
    """What the listing of a pool depends on; a pool of drawn images has no files."""
    return checked(STUDY.pool_inputs, wildcards.pool)
