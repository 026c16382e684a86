"""Other tasks: the normal images of the data set's other tasks, each of which is an anomaly among those of this one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from swsa_core.anomalies.source import Source
from swsa_core.basics.look import Look
from swsa_core.basics.section import Section
from swsa_core.basics.seeding import rng
from swsa_core.files.support import Support

if TYPE_CHECKING:
    import pandas as pd


class OtherTasks(Section):
    """No keys: write `other_tasks: {}`."""


def others(supports: Sequence[Support], n: int, seed: int) -> "pd.DataFrame":
    """For each task `n` support images of the other tasks, in turn by task; fewer where there are no more.

    supports: of all tasks of a data set. Returns DataFrame(task, image_id, other), `other` the task that an image is from.
    """
    import pandas as pd

    rows = []
    for support in supports:
        task = support["task"]
        generator = rng(seed, support["dataset"], task, "other_tasks")
        own = set(_images(support))
        queues = {
            one["task"]: [image_id for image_id in generator.permutation(_images(one)) if image_id not in own]
            for one in supports
            if one["task"] != task
        }
        names = generator.permutation(list(queues)).tolist()
        rounds = [(queues[name][i], name) for i in range(n) for name in names if i < len(queues[name])]
        chosen: dict[str, str] = {}
        for image_id, name in rounds:
            chosen.setdefault(str(image_id), name)  # once, also where several tasks have it
        rows += [(task, *one) for one in chosen.items()][:n]
    return pd.DataFrame(rows, columns=["task", "image_id", "other"])


def _images(support):
    return [*support["seed_ids"], *support["held_out_ids"]]


SOURCE = Source(
    OtherTasks,
    title="other-task",
    about="Normal images of the data set's other tasks; data sets with one task go without.",
    look=Look("#F0E442", "h"),
    others=others,
    note="The anomalies from other tasks are normal images of the data set's other classes or products, which a detector of "
    "one task alone would not have. They resemble real anomalies where those are other classes, and say little about defects.",
)
