"""The 1,797 handwritten digits that scikit-learn ships (Alpaydin & Kaynak 1998), 8 x 8 pixels, no download."""

from collections.abc import Collection
from typing import Literal

from swsa_core.datasets.kind import Kind, Spec
from swsa_core.datasets.rows import Row, choose
from swsa_core.datasets.section import Dataset

CLASSES = tuple("0123456789")
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TRAIN_IMAGES = 30
LAYOUT = "no directory: the images come with scikit-learn"


class Digits(Dataset):
    kind: Literal["digits"]
    root: None = None  # type: ignore[assignment]  # the one kind without a directory
    """Not needed, because scikit-learn ships the images."""


def tasks(spec: Spec) -> list[str]:
    """The ten digits."""
    return choose(spec, CLASSES)


def inputs(spec: Spec, task: str | None = None) -> list[str]:
    """Nothing: the images come with scikit-learn."""
    return []


def rows(spec: Spec, names: Collection[str] | None = None) -> list[Row]:
    """Rows of the digits `names` (None: all), in file order: the first 30 of each class are train, the rest test."""
    from sklearn.datasets import load_digits

    seen = dict.fromkeys(CLASSES, 0)
    found = []
    for number, digit in enumerate(map(str, load_digits().target)):
        seen[digit] += 1
        if names is None or digit in names:
            found.append(Row(f"digits:{number}", digit, "train" if seen[digit] <= TRAIN_IMAGES else "test", digit))
    return found


def class_name(name: str) -> str:
    """The digit as a word."""
    return WORDS[int(name)]


def support_sizes(spec: Spec, tasks: list[str]) -> dict[str, int]:
    """{task: training images}, without scikit-learn, which takes seconds to import."""
    return dict.fromkeys(tasks, TRAIN_IMAGES)


def path(spec: Spec, image_id: str) -> str:
    """The id itself, which `read_image` takes: there is no file."""
    return image_id


KIND = Kind(
    section=Digits,
    title="handwritten digits",
    anomalies="classes",
    layout=LAYOUT,
    prompts="digits",
    tasks=tasks,
    inputs=inputs,
    rows=rows,
    class_name=class_name,
    reading=0.0,
    mini_clip=True,
    support_sizes=support_sizes,
    path=path,
)
