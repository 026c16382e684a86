"""Fine-tuning: losses fall, the network comes back as it was, the same seed gives the same bits, strengths are predicted."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from swsa_core.anomalies.cutpaste import cutpaste
from swsa_core.basics.errors import InputError
from swsa_core.candidates.backbone import load_backbone
from swsa_core.exposure.fine_tune import Examples, fine_tuned

NOTHING = Examples(np.empty((0, 32, 32, 3), np.uint8), np.empty(0, np.float32))


def exposure(**changes):
    return {
        "source": "cutpaste",
        "task": "classification",
        "epochs": 5,
        "patience": 5,
        "learning_rate": 1e-3,
        "batch_size": 16,
    } | changes


@pytest.fixture(scope="module")
def backbone():
    return load_backbone({"name": "small", "model": "mini:vit_s", "args": {}}, "cpu")


@pytest.fixture(scope="module")
def digits():
    """48 images of the digit 3, (48, 32, 32, 3) uint8."""
    grey = load_digits().images
    grey = grey[load_digits().target == 3][:48] * (255 / 16)
    return np.repeat(np.repeat(grey, 4, axis=1), 4, axis=2)[..., None].repeat(3, axis=3).astype(np.uint8)


def pasted(images, each, seed=0):
    """CutPaste anomalies of images and the area of each as a share of the image."""
    generator = np.random.default_rng(seed)
    made = [cutpaste(image, generator, area=(0.02, 0.4)) for image in images for _ in range(each)]
    return np.stack([anomaly for anomaly, _ in made]), np.array([w * h / 1024 for _, (w, h, *_) in made], np.float32)


def examples(normals, anomalies, targets):
    return Examples(
        np.concatenate([normals, anomalies]), np.concatenate([np.zeros(len(normals)), targets]).astype(np.float32)
    )


def run(backbone, learnt, stopping=NOTHING, seed=0, **changes):
    with fine_tuned(backbone, learnt, stopping, exposure(**changes), np.random.default_rng(seed)) as tuned:
        return tuned, backbone.features(learnt.images)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_losses_fall_and_the_network_comes_back(backbone, digits, task):
    anomalies, areas = pasted(digits[:12], 2)
    learnt = examples(digits[:12], anomalies, areas / areas.max() if task == "regression" else np.ones(24))
    before = backbone.features(learnt.images)
    tuned, after = run(backbone, learnt, task=task)
    assert tuned.learnt[-1] < 0.9 * tuned.learnt[0] and tuned.best == 4
    np.testing.assert_array_equal(backbone.features(learnt.images), before)
    assert np.abs(after - before).max() > 0.01
    assert not any(parameter.requires_grad for parameter in backbone.network.module.parameters())
    _, again = run(backbone, learnt, task=task)
    np.testing.assert_array_equal(after, again)


def test_training_ends_when_held_out_images_are_told_no_better(backbone, digits):
    anomalies, _ = pasted(digits[:12], 2)
    # held-out anomalies that are called normal and the other way round: each step makes it worse
    turned = Examples(np.concatenate([digits[12:18], anomalies[:6]]), np.repeat([1.0, 0.0], 6).astype(np.float32))
    tuned, _ = run(backbone, examples(digits[:12], anomalies, np.ones(24)), turned, epochs=20, patience=2)
    assert len(tuned.learnt) == len(tuned.held_out) == tuned.best + 3 < 20
    assert tuned.held_out[tuned.best] == min(tuned.held_out)


def test_strengths_of_unseen_anomalies_are_predicted_better_than_by_their_mean(backbone, digits):
    anomalies, areas = pasted(digits[:36], 4)
    unseen, truth = pasted(digits[36:], 4, seed=1)
    learnt = examples(digits[:36], anomalies, areas / areas.max())
    with fine_tuned(
        backbone, learnt, NOTHING, exposure(task="regression", epochs=12), np.random.default_rng(0)
    ) as tuned:
        predicted = tuned.predict(unseen) * areas.max()
    error, of_mean = ((predicted - truth) ** 2).mean(), truth.var()
    assert error < 0.9 * of_mean, (error, of_mean)  # 0.81 measured


def test_mistakes_are_told(backbone, digits):
    learnt = examples(digits[:4], digits[4:8], np.ones(4))
    with pytest.raises(
        InputError, match=r"small: the loss of fine-tuning is .* in epoch \d: lower exposure.learning_rate, which is"
    ):
        run(backbone, learnt, learning_rate=1e20)
    hog = load_backbone({"name": "hog", "model": "descriptor:hog", "args": {}})
    with pytest.raises(InputError, match="hog: a descriptor cannot be fine-tuned: take a network"):
        run(hog, learnt)

    def full(forward, images):
        if torch.is_grad_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory")
        return backbone.run(forward, images)

    small = SimpleNamespace(**{name: getattr(backbone, name) for name in ("name", "network", "feature_size")}, run=full)
    with pytest.raises(
        InputError, match=r"small: memory is too small to train on 16 images: lower exposure\.batch_size"
    ):
        run(small, learnt)
