"""Functions of a user, for the tests of what a config names as module:function."""

import numpy as np


def means(images):
    """Mean and spread of each channel: (n, 6)."""
    return np.concatenate([images.mean(axis=(1, 2)), images.std(axis=(1, 2))], axis=1)


def spotted(image, rng):
    """A seed image with a dark square somewhere."""
    side = max(2, min(image.shape[:2]) // 4)
    y, x = (rng.integers(0, length - side + 1) for length in image.shape[:2])
    image[y : y + side, x : x + side] = 255 - image[y : y + side, x : x + side]
    return image


def fails(*arguments):
    raise KeyError("no such thing")


def one_too_few(images):
    return means(images)[1:]


def flat(images):
    return np.zeros(len(images))


def words(images):
    return np.array([["a"]] * len(images))


def not_finite(images):
    found = means(images)
    found[-1, 2] = np.nan
    return found


def overwriting(images):
    images[:] = 0
    return means(images)


def other_sizes(images):
    """As many features as there are images."""
    return np.ones((len(images), len(images)))


def unchanged(image, rng):
    return image


def resized(image, rng):
    return image[1:]


def in_floats(image, rng):
    return image / 255


NOT_CALLABLE = 3
