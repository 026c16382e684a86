"""Anomalies by a function of the user's own."""

import numpy as np
import pytest
from own_functions import spotted

from swsa_core.anomalies.function import make
from swsa_core.anomalies.source import Task
from swsa_core.basics.errors import InputError

SEEDS = {f"{i}.png": np.random.default_rng(i).integers(0, 200, (20 + i, 16, 3), np.uint8) for i in range(4)}
TASK = Task("d", "t", SEEDS, "original", 0)


def made(function, n=None, seed=0):
    return make(TASK, {"function": f"own_functions:{function}"} | ({"n": n} if n else {}), np.random.default_rng(seed))


def test_each_anomaly_is_the_function_of_a_seed_image_and_its_own_generator():
    found = made("spotted", n=6)
    assert found.parents[:, 0].tolist() == [f"{i}.png" for i in (0, 1, 2, 3, 0, 1)]
    for image, (parent,), generator in zip(found.images, found.parents, np.random.default_rng(0).spawn(6), strict=True):
        np.testing.assert_array_equal(image, spotted(SEEDS[parent].copy(), generator))
        assert not np.array_equal(image, SEEDS[parent]), "the seed images stay as they are"
    for one, other in zip(found.images, made("spotted", n=9).images, strict=False):
        np.testing.assert_array_equal(one, other)
    assert any(not np.array_equal(*pair) for pair in zip(found.images, made("spotted", 6, 1).images, strict=True))
    assert len(made("spotted").images) == 4


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("resized", r"own_functions:resized returned uint8 of shape \(19, 16, 3\) for the image '0.png'"),
        ("in_floats", "returned float64 of shape"),
        ("unchanged", "returned every image as it was"),
        ("fails", "fails for the image '0.png': KeyError"),
    ],
)
def test_other_returns_are_refused(function, told):
    with pytest.raises(InputError, match=told):
        made(function)
