"""What the report tells of copies, among the normal images and of training images in the test, and of masks among them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from swsa_core.basics import wording
from swsa_core.datasets.support import told_copies
from swsa_core.report.read_supports import Copied, Drawn

MOST_NAMED = 3


def told_of_copies(copies: Sequence[Copied]) -> list[dict[str, Any]]:
    """What a reader must know of copies among the normal images, as `alerts.told_of_picks` has it."""
    if not copies:
        return []
    counts = [sum(len(group["copies"]) for group in of["copies"]) for of in copies]
    text = (
        "These normal images show the same picture as another one of their task. They are left out of the support: with a copy "
        "in the bank, a normal image would look perfect and the synthetic AUROC would be too high."
    )
    tasks = [
        f"{of['dataset']}: {of['task']}: {wording.plural(n, 'copy', 'copies')}: {told_copies(of['copies'])}"
        for of, n in zip(copies, counts, strict=True)
    ]
    return [{"title": f"Copies among the normal images: {sum(counts):,}", "text": text, "tasks": tasks}]


def told_of_drawings(drawings: Sequence[Drawn]) -> list[dict[str, Any]]:
    """What a reader must know of images of few colours among the normal images, as `alerts.told_of_picks` has it."""
    if not drawings:
        return []
    tasks = []
    for of in drawings:
        named = ", ".join(map(repr, of["drawings"][:MOST_NAMED]))
        more = len(of["drawings"]) - MOST_NAMED
        named += f" and {more:,} more" if more > 0 else ""
        tasks.append(f"{of['dataset']}: {of['task']}: {wording.plural(len(of['drawings']), 'image')}: {named}")
    text = (
        "These normal images have few colours, as masks or label maps do, and the others are photographs. They are in the "
        "support like any other: if they show no product, leave them out by datasets.<name>.exclude."
    )
    total = sum(len(of["drawings"]) for of in drawings)
    return [{"title": f"Images like masks among the normal images: {total:,}", "text": text, "tasks": tasks}]


def told_of_leaks(leaks: pd.DataFrame | None, config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a reader must know of test images that are copies of training images, as `alerts.told_of_picks` has it."""
    if leaks is None or not len(leaks):
        return []
    tasks = []
    for (dataset, task, normal, group), rows in leaks.groupby(["dataset", "task", "normal", "group"], sort=False):
        dropped = ", left out of the test" if config["datasets"][dataset].get("on_leak") == "drop" else ""
        named = ", ".join(f"{row.image_id!r} as {row.training_id!r}" for row in rows.head(MOST_NAMED).itertuples())
        named += f" and {len(rows) - MOST_NAMED:,} more" if len(rows) > MOST_NAMED else ""
        kind = "normal" if normal else f"group {group}, mislabelled or leaked"
        tasks.append(f"{dataset}: {task}: {wording.plural(len(rows), 'image')} ({kind}){dropped}: {named}")
    kept = any(config["datasets"][dataset].get("on_leak") != "drop" for dataset in leaks["dataset"])
    text = "These test images show the same picture as a training image of the task: the real AUROC is not that of new images."
    text += " `on_leak: drop` tests without them." if kept else ""
    return [{"title": f"Test images that are copies of training images: {len(leaks):,}", "text": text, "tasks": tasks}]
