"""The 1,797 handwritten digits that scikit-learn ships (Alpaydin & Kaynak 1998), 8 x 8 pixels, no download."""

from swsa_core.datasets.rows import Row, choose

ANOMALIES = "classes"
CLASSES = tuple("0123456789")
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TRAIN_IMAGES = 30


def tasks(spec):
    """The ten digits."""
    return choose(spec, CLASSES)


def inputs(spec, task=None):
    """Nothing: the images come with scikit-learn."""
    return []


def rows(spec, names=None):
    """Rows of the digits `names` (None: all), in file order: the first 30 of each class are train, the rest test."""
    from sklearn.datasets import load_digits

    seen = dict.fromkeys(CLASSES, 0)
    found = []
    for number, digit in enumerate(map(str, load_digits().target)):
        seen[digit] += 1
        if names is None or digit in names:
            found.append(Row(f"digits:{number}", digit, "train" if seen[digit] <= TRAIN_IMAGES else "test", digit))
    return found


def class_name(name):
    """The digit as a word."""
    return WORDS[int(name)]
