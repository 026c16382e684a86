from workflow_scripts.job import job

from pathlib import Path

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.candidates.licences import licence_of
from swsa_core.detect.detector import Detector, Member
from swsa_core.detect.evidence import on_sources, scale_in_selection
from swsa_core.detect.folder import save
from swsa_core.detect.make import digest_of, make_part, tested
from swsa_core.detectors import HEADS, score_knn
from swsa_core.detectors.scores import Features, banks_of, features_of
from swsa_core.files import layout, store
from swsa_core.files.support import read_task_supports
from swsa_core.strategies.select import SELECTION, deployed, picked
from workflow_scripts._score import read_patches


def member(name: str) -> Member:
    backbone, head = settings["groups"][name]
    spec = next(one for one in settings["backbones"].values() if one["name"] == backbone)
    attributes = embedded(backbone, head)[1]
    return Member(
        name,
        spec,
        head,
        {argument: settings[f"{head}.{argument}"] for argument in HEADS[head].settings},
        int(attributes["grid"]) if HEADS[head].patches else 0,
        {key: attributes[key] for key in ("backbone", "model", "weights_sha256", "transform", "precision", "versions")}
        | {"licence": licence_of(spec)},
    )


def embedded(backbone: str, head: str) -> tuple[Features, dict]:
    """What a head compares of the original images, and the attributes of its file."""
    patches = HEADS[head].patches
    path = files[backbone, patches]
    arrays, attributes = read_patches(path) if patches else store.read(path)
    return Features(arrays["features"], arrays["image_id"]), attributes


def of_files(paths, name: str, patches: bool) -> dict:
    slugs = {path: layout.fields_of(name, path)["backbone"] for path in paths}
    return {(settings["backbones"][slug]["name"], patches): path for path, slug in slugs.items()}


with job(snakemake) as mine:
    settings, dataset = mine.settings, snakemake.wildcards.dataset
    files = of_files(snakemake.input.features, "image_features", False)
    files |= of_files(snakemake.input.patches, "image_patches", True)
    selection = SELECTION.read(snakemake.input.selection).query("selection == 'model'")
    strategy, first = deployed(selection, settings["strategies"])
    if first.empty or not all(picked(row) for row in first.itertuples()):
        raise InputError(
            f"strategies: {strategy} picks no candidate of data set {dataset!r} to make a detector of: put "
            "swsa or swsa_ensemble first"
        )
    scores = {one.attributes["candidate"]: one for one in map(score_knn.read, snakemake.input.scores)}
    supports = read_task_supports(mine.of_every_task(snakemake.input.supports))
    paths = {support["task"]: support["paths"] for support in supports}
    members, parts = {}, {}
    for task, ids in banks_of(supports).items():
        row = first.loc[task]
        names = picked(row)
        if strangers := [name for name in names if name not in scores]:
            raise InputError(
                f"task {task!r}: no detector can be made of the pick of {strategy}, {', '.join(names)}: {strangers[0]} is "
                "scored elsewhere, or fine-tuned for each task; deploy it yourself, or leave it out of the config"
            )
        members |= {name: member(name) for name in names if name not in members}
        of_members = [scores[name] for name in names]
        scale = scale_in_selection(of_members, task)
        found = {
            name: np.asarray(features_of(embedded(*settings["groups"][name])[0], ids, "images.h5")) for name in names
        }
        facts = {"verdict": row.verdict, "reason": row.reason, "sources": on_sources(of_members, task, scale)}
        of_bank = [paths[task][one] for one in ids]
        digests = [digest_of(path) for path in of_bank]
        parts[task] = make_part(task, [members[name] for name in names], found, of_bank, digests, dataset, scale, facts)
        print(f"{task}: {', '.join(names)}, {len(ids)} normal images")
    versions = "; ".join(dict.fromkeys(one.facts["versions"] for one in members.values()))
    about = {"dataset": dataset, "strategy": strategy, "versions": versions}
    detector = Detector(members, parts, about, device="cpu")  # for one image
    save(tested(detector, detector.networks()), Path(snakemake.output[0]).parent)
