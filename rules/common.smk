"""What the rules share: the validated config, the tasks found on disk, and the settings that each stage tracks."""

import os
import re
import shutil
import sys
from functools import cache
from pathlib import Path


from swsa_core import datasets
from swsa_core.anomalies.diffusion import check_size, find_model
from swsa_core.candidates import family_of
from swsa_core.candidates.backbone import check_model
from swsa_core.candidates.section import clip_backbone
from swsa_core.config.config import KINDS, POOLS, validate
from swsa_core.anomalies import procedural, tiny_imagenet
from swsa_core.candidates.prompts import check_texts, texts_of_classes
from swsa_core.files.downloads import PUBLISHED
from swsa_core.basics.errors import InputError
from swsa_core.datasets.fetch import is_absent, or_fetch, to_fetch
from swsa_core.basics.names import SLUG, did_you_mean, unique_slugs
from swsa_core.datasets.support import check_supports
from swsa_core.basics.versions import stage_version


def checked(function, *args):
    """Call `function`; a mistake in the user's input ends the run with its sentence."""
    try:
        return function(*args)
    except InputError as error:
        sys.exit(f"Error: {error}")


def of_dataset(name, function, *args):
    """`checked`, with the data set's config key before the sentence."""
    try:
        return function(*args)
    except InputError as error:
        sys.exit(f"Error: datasets.{name}: {error}")


CONFIG = checked(validate, config)
config.update(CONFIG)  # where scripts find `runtime`, which is not tracked
DATASETS = CONFIG["datasets"]
# Those that `snakemake datasets` would fetch have no tasks yet; their index says so to whatever else is asked for.
PRESENT = {name: spec for name, spec in DATASETS.items() if not is_absent(spec)}
# {data set: {slug of the task in paths: original name}}
TASKS = {name: {} for name in DATASETS} | {
    name: unique_slugs(of_dataset(name, datasets.tasks, spec)) for name, spec in PRESENT.items()
}
# Models that embed images, {slug in paths: settings}: the kNN candidates, and the CLIP model whose prompts are chosen among.
CLIP_MODELS = [clip_backbone(CONFIG["clip"])] if CONFIG["clip"] else []
BACKBONES = {
    slug: next(model for model in CONFIG["candidates"] + CLIP_MODELS if model["name"] == name)
    for slug, name in unique_slugs(model["name"] for model in CONFIG["candidates"] + CLIP_MODELS).items()
}
CLIP = {slug: model for slug, model in BACKBONES.items() if model in CLIP_MODELS}
CANDIDATES = {slug: model for slug, model in BACKBONES.items() if slug not in CLIP}
IN_PAPER = any(spec["kind"] in ("cub", "flowers", "mvtec_ad", "visa") for spec in DATASETS.values())
SOURCES = list(CONFIG["sources"])
# Sources whose anomalies are generated for each task, and sources that sample a pool of other images.
TASK_SOURCES = [source for source in SOURCES if source not in POOLS]
POOL_SOURCES = [source for source in SOURCES if source in POOLS]
THREADS = CONFIG["runtime"]["threads"]
DEVICE = CONFIG["runtime"]["device"]
HAS_GPU = any(Path(os.sep).glob("dev/nvidia[0-9]*")) or shutil.which("nvidia-smi") is not None
GPUS = int(DEVICE.startswith("cuda") or (DEVICE == "auto" and HAS_GPU))


pathvars:
    results=CONFIG["results"],


# {data set: {task: its name in prompts}}
CLASS_NAMES = {
    name: {
        task: DATASETS[name].get("class_name") or datasets.class_name(DATASETS[name]["kind"], task)
        for task in tasks.values()
    }
    for name, tasks in TASKS.items()
}


wildcard_constraints:
    dataset=SLUG,
    task=SLUG,
    backbone=SLUG,
    candidate=SLUG,
    source=SLUG,
    pool="|".join(POOLS),


if workflow.is_main_process:
    checked(check_supports, CONFIG | {"datasets": PRESENT})
    checked(check_size, CONFIG)
    for backbone in BACKBONES.values():
        checked(check_model, backbone)
    for model in CLIP_MODELS:
        reader = family_of(model).texts
        for name, spec in PRESENT.items():
            texts = spec["templates"], CLASS_NAMES[name].values()
            of_dataset(name, check_texts, *texts, reader.most_words(model))
            key = f"datasets.{name}.class_name" if spec["kind"] == "folder" else None
            of_dataset(name, reader.check_prompts, texts_of_classes(*texts), key)


FETCHING = ("archive", "accept_license")  # keys of `snakemake datasets` alone
# What is tracked: the config without `runtime` and those keys.
STUDY = {key: value for key, value in CONFIG.items() if key != "runtime"} | {
    section: {
        name: {key: value for key, value in entry.items() if key not in FETCHING}
        for name, entry in CONFIG[section].items()
    }
    for section in ("datasets", "sources")
}
KEYS_OF_ALL_KINDS = {key: None for kind in KINDS.values() for key in kind.model_fields if key not in FETCHING}
# It by key, with what the stages track beyond it: data sets with None for the keys of other kinds, candidates and CLIP by
# their slug, orders, which input files do not keep, the tasks on disk, their names in prompts, and the seed where it draws
# the training images of a folder.
LEAVES = STUDY | {
    "config": STUDY,
    "datasets": {name: KEYS_OF_ALL_KINDS | spec for name, spec in STUDY["datasets"].items()},
    "dataset_order": list(DATASETS),
    "source_order": SOURCES,
    "candidates": BACKBONES,
    "candidate_order": [model["name"] for model in CANDIDATES.values()],
    "tasks": TASKS,
    "class_names": CLASS_NAMES,
    "train_seed": {name: CONFIG["seed"] if spec.get("train") else None for name, spec in DATASETS.items()},
}
# What the listing of a data set's training images depends on.
LISTING_LEAVES = [f"datasets.{{dataset}}.{key}" for key in ("kind", "root", "allow_missing", "normal", "train")]
# What the labels of its real test images depend on.
LABEL_LEAVES = [f"datasets.{{dataset}}.{key}" for key in ("kind", "groups", "min_group_size")]


def settings(stage, *leaves, paths=None):
    """The tracked param of a rule: the stage's version and the config leaves that it uses, as dotted paths.

    Snakemake compares the set of params without their names, so all of them go into one dict. paths: function of the
    wildcards to the files that the rule depends on; of those that cannot be inputs the times are tracked here.
    """

    def tracked(wildcards):
        values = {"version": stage_version(stage)} | {leaf: leaf_value(leaf, wildcards, stage) for leaf in leaves}
        hidden = [path for path in paths(wildcards) if not nameable(path)] if paths else []
        return values | {path: os.stat(path).st_mtime_ns for path in hidden}

    return tracked


def untracked(stage, *leaves):
    """The other param of a rule: config leaves that its script reads and that shall not make it run again.

    Snakemake does not track a param whose function takes the input.
    """
    return lambda wildcards, input: {leaf: leaf_value(leaf, wildcards, stage) for leaf in leaves}


def inputs_of(paths):
    """Input function of those files that `paths` names which can be inputs."""
    return lambda wildcards: [path for path in paths(wildcards) if nameable(path)]


def one_of(names):
    """Constraint of a wildcard to `names`; to nothing where there are none, as Snakemake takes "" for no constraint."""
    return "|".join(map(re.escape, names)) or "(?!)"


def nameable(path):
    """Whether Snakemake takes a path as it is: braces would be a wildcard, angle brackets a path variable."""
    return not set(path) & set("{}<>")


def leaf_value(leaf, wildcards, stage):
    """The config value at a dotted path whose steps may hold wildcards, for a rule of `stage`."""
    value = LEAVES
    for step in leaf.split("."):
        key = step.format(**wildcards)
        known = value if isinstance(value, dict) else ()
        if key not in known:
            raise KeyError(f"settings of {stage}: {leaf} is no leaf of the config; {key!r}: {did_you_mean(key, known)}")
        value = value[key]
    return value


def stage_log(stage, *wildcards):
    """Path of a rule's log below the results."""
    return f"<results>/logs/{stage}/{stage_file(stage, wildcards)}.log"


def stage_benchmark(stage, *wildcards):
    """Path of a rule's run time and memory below the results."""
    return f"<results>/benchmarks/{stage}/{stage_file(stage, wildcards)}.tsv"


def stage_file(stage, wildcards):
    """A job's name: its wildcards, as directories and file."""
    return os.path.join(*(f"{{{wildcard}}}" for wildcard in wildcards)) if wildcards else stage


def embedding_gpus(wildcards):
    """GPUs of an embedding job: some families are computed on the CPU."""
    return GPUS if family_of(BACKBONES[wildcards.backbone]).gpu else 0


def index_paths(wildcards):
    return index_inputs(wildcards.dataset)


@cache  # asked for twice, as input and for its times, and each time the data set would be listed
def index_inputs(dataset):
    return of_dataset(dataset, or_fetch, datasets.inputs, DATASETS[dataset])


def support_paths(wildcards):
    if wildcards.dataset not in PRESENT:
        index_paths(wildcards)  # ends with the sentence about it
    task = TASKS[wildcards.dataset][wildcards.task]
    return of_dataset(wildcards.dataset, datasets.inputs, DATASETS[wildcards.dataset], task)


def pool_paths(wildcards):
    """What the listing of a pool depends on; a procedural pool has no files."""
    listed = {"tiny_imagenet": tiny_imagenet, "procedural": procedural}[wildcards.pool]
    return checked(or_fetch, listed.inputs, CONFIG["sources"][wildcards.pool] | {"kind": wildcards.pool})


def marks_of_absent(wildcards):
    """The marks that `snakemake datasets` makes of the data sets to fetch; old ones go, of data sets that were removed."""
    marks = [f"resources/datasets/{key}.done" for key in checked(to_fetch, CONFIG)]
    for mark in marks:
        Path(mark).unlink(missing_ok=True)
    return marks


def support_files(wildcards):
    """The support sets of all tasks of a data set."""
    return expand("<results>/{dataset}/support/{task}.json", dataset=wildcards.dataset, task=TASKS[wildcards.dataset])


def anomaly_files(wildcards):
    """The anomalies that one source generated, for all tasks of a data set."""
    return expand(
        "<results>/{dataset}/anomalies/{source}/{task}.h5",
        dataset=wildcards.dataset,
        source=wildcards.source,
        task=TASKS[wildcards.dataset],
    )


def weights_file(wildcards):
    """What a backbone is made of on disk: weights that the config names, or bundled ones. They are inputs, never outputs."""
    backbone = BACKBONES[wildcards.backbone]
    return list(filter(nameable, family_of(backbone).files(backbone)))


def diffusion_weights(wildcards=None):
    """The files of the config's diffusion model, if it has one: weights, and what says how to read them."""
    source = CONFIG["sources"].get("diffusion")
    return checked(find_model, source).files if source else []


# As functions: of long lists, beside outputs of other rules, Snakemake hashes the whole list once for each file.
def all_support_files(wildcards):
    """The support sets of all tasks of the study."""
    return [f"<results>/{dataset}/support/{task}.json" for dataset, tasks in TASKS.items() for task in tasks]


def all_score_files(wildcards):
    """The scores of all kNN candidates on all data sets."""
    return expand("<results>/{dataset}/scores/{candidate}.h5", dataset=DATASETS, candidate=CANDIDATES)


def all_anomaly_files(wildcards):
    """The anomalies of all tasks and sources of the study, and the pools that they are sampled from."""
    generated = [
        f"<results>/{dataset}/anomalies/{source}/{task}.h5"
        for source in TASK_SOURCES
        for dataset, tasks in TASKS.items()
        for task in tasks
    ]
    sampled = expand("<results>/{dataset}/anomalies/{pool}.csv", dataset=DATASETS, pool=POOL_SOURCES)
    return generated + sampled + expand("<results>/pools/{pool}/images.csv", pool=POOL_SOURCES)
