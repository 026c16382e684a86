from workflow_scripts.job import dataset_spec, job

from swsa_core import datasets
from swsa_core.basics.errors import InputError, NeedsKey
from swsa_core.datasets.depth import check_depth
from swsa_core.datasets.support import (
    check_bank,
    most_left_out,
    split_support,
    told_copies,
    without_copies,
)
from swsa_core.files import layout
from swsa_core.files.copies import drawings_among, picture
from swsa_core.files.images import read_image, significant_bits
from swsa_core.files.reading import file_of
from swsa_core.files.text import write_json


def readable(task: str) -> tuple[dict, dict, list]:
    """({image id: path}, {image id: its picture}, images that are left out as they cannot be read) of one task."""
    paths, pictures, skipped, bits, unread = {}, {}, [], [], []
    scaled = spec["bit_depth"] is not None or spec["value_range"] is not None
    image_ids = datasets.support_images(spec, task, settings["seed"], dataset)
    for image_id, place in datasets.paths(spec, image_ids).items():
        try:
            seen = picture(read_image(place))
            bits.append(0 if scaled else significant_bits(place))
            paths[image_id], pictures[image_id] = place, seen
        except NeedsKey as error:  # a good image, which is not left out
            unread.append(str(error))
        except InputError as error:
            print(f"{task}: {error}")
            skipped.append({"image_id": image_id, "path": file_of(place), "reason": str(error)})
    if unread:
        more = (
            f"; {len(unread)} of its {len(image_ids)} images need a key of datasets.{dataset}"
            if len(unread) > 1
            else ""
        )
        raise InputError(f"task {task!r}: {unread[0]}{more}")
    if skipped and spec["on_bad_image"] == "error":
        others = f" {len(skipped) - 1} more cannot be read, see the lines above;" if len(skipped) > 1 else ""
        raise InputError(
            f"task {task!r}: {skipped[0]['reason']};{others} to go on without them set "
            f"datasets.{dataset}.on_bad_image: skip"
        )
    if skipped and not paths:
        raise InputError(f"task {task!r}: none of its {len(skipped)} images can be read, first {skipped[0]['reason']}")
    check_depth(bits, dataset, f"of task {task!r}")
    return paths, pictures, skipped


def split(task: str, path: str) -> None:
    """Write the support set of one task."""
    paths, pictures, skipped = readable(task)
    kept, copies = without_copies(pictures, lambda image_id: read_image(paths[image_id]))
    if copies:
        print(f"{task}: {len(paths) - len(kept)} of {len(paths)} images are left out as copies: {told_copies(copies)}")
    if drawings := drawings_among(pictures):
        print(
            f"{task}: {len(drawings)} of {len(paths)} images have few colours, as masks do, and the others are photographs: "
            f"if {drawings[0]!r} is no normal image, leave it out by datasets.{dataset}.exclude"
        )
    seeds, held_out = split_support(kept, spec["support"]["seeds"], settings["seed"], dataset, task, copies)
    check_bank(
        len(kept), settings["k"], most_left_out(settings["sources"], settings["protocols"]), dataset, task, copies
    )
    write_json(
        path,
        {
            "dataset": dataset,
            "task": task,
            "seed_ids": seeds,
            "held_out_ids": held_out,
            "paths": {image_id: paths[image_id] for image_id in seeds + held_out},
            "skipped": skipped,
        }
        | ({"copies": copies} if copies else {})
        | ({"drawings": drawings} if drawings else {}),
    )


with job(snakemake) as mine:
    settings, dataset = mine.settings, layout.dataset_of("support", snakemake.output[0])
    spec = dataset_spec(settings)
    # a job of several tasks tracks their names by their slugs
    names = settings["tasks"].values() if "tasks" in settings else [settings["task"]]
    for task, path in zip(names, snakemake.output, strict=True):
        split(task, path)
