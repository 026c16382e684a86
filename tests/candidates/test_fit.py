"""What candidates see of an image: all of it with `fit: squash` and `fit: pad`, its centre with `fit: crop`."""

import numpy as np
import pytest
from PIL import Image

from swsa_core.candidates.backbone import load_backbone
from swsa_core.candidates.descriptor import DESCRIPTORS
from swsa_core.candidates.section import Candidate
from swsa_core.candidates.transforms import Transform, seen_by
from swsa_core.config.config import validate
from swsa_core.config.study import study

MEAN = (0.485, 0.456, 0.406)
SHAPES = [(256, 256), (600, 1200), (1200, 600)]
DEFECT = 16
MODELS = [*(f"descriptor:{name}" for name in DESCRIPTORS), "mini:resnet_s"]


def smooth(height, width):
    """A grey image (H, W, 3) uint8 with a gentle structure, on which a white defect shows."""
    rows, columns = np.mgrid[:height, :width]
    return np.repeat((100 + 20 * np.sin(rows / 9) * np.cos(columns / 13)).astype(np.uint8)[..., None], 3, axis=2)


def at_the_border(height, width, step):
    """(top, left) of defects that touch a border, corners included, `step` pixels apart."""
    rows, columns = ([*range(0, side - DEFECT, step), side - DEFECT] for side in (height, width))
    places = [(row, left) for row in rows for left in (0, width - DEFECT)]
    return sorted({*places, *((top, column) for column in columns for top in (0, height - DEFECT))})


def with_defect(image, place):
    marred = image.copy()
    marred[place[0] : place[0] + DEFECT, place[1] : place[1] + DEFECT] = 255
    return marred


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
def test_a_defect_at_the_border_changes_what_a_network_sees(fit, shape):
    transform, image = Transform(256, 224, "bicubic", MEAN).fitted(fit), smooth(*shape)
    usual = transform(image)
    seen = [(transform(with_defect(image, place)) != usual).any() for place in at_the_border(*shape, DEFECT)]
    if fit != "crop":
        assert all(seen)
    elif shape == (256, 256):
        assert not any(seen), "16 px are what is cut off on each side"
    else:
        assert not all(seen)


@pytest.mark.parametrize("shape", SHAPES[:2])
@pytest.mark.parametrize("fit", ["squash", "pad"])
@pytest.mark.parametrize("model", MODELS)
def test_a_defect_at_the_border_changes_the_features_of_every_kind_of_candidate(model, fit, shape):
    backbone, image = load_backbone({"name": "x", "model": model, "fit": fit}, "cpu"), smooth(*shape)
    images = [image, *(with_defect(image, place) for place in at_the_border(*shape, 4 * DEFECT))]
    features = backbone.features(np.stack([backbone.transform(one) for one in images]))
    assert (features[1:] != features[0]).any(axis=1).all()


@pytest.mark.parametrize("model", ["descriptor:hog", "mini:resnet_s"])
def test_with_crop_it_changes_no_feature_outside_of_the_centre(model):
    image = smooth(600, 1200)
    backbone = load_backbone({"name": "x", "model": model, "fit": "crop"}, "cpu")
    images = [image, *(with_defect(image, (top, left)) for top in (0, 300, 584) for left in (0, 1184))]
    features = backbone.features(np.stack([backbone.transform(one) for one in images]))
    assert (features == features[0]).all()


def test_padding_is_even_and_becomes_0_by_the_normalisation():
    padded = Transform(224, 224, mean=MEAN).fitted("pad")(np.zeros((100, 200, 3), np.uint8))
    assert padded.shape == (224, 224, 3)
    assert (padded[56:168] == 0).all()
    for bar in (padded[:56], padded[168:]):
        assert np.abs(bar / 255 - MEAN).max() <= 0.5 / 255
    tall = Transform(224, 224).fitted("pad")(np.full((200, 100, 3), 9, np.uint8))
    assert (tall[:, 56:168] == 9).all() and (tall[:, :56] == 0).all() and (tall[:, 168:] == 0).all()


def test_descriptors_are_padded_with_mid_grey():
    transform = load_backbone({"name": "x", "model": "descriptor:hog", "fit": "pad"}).transform
    assert (transform.prepare(np.zeros((10, 20, 3), np.uint8))[0] == 128).all()


def test_squash_of_a_user_cuts_nothing_and_that_of_a_library_its_own_border():
    image = smooth(100, 200)
    own = Transform(64, 56, fit="squash")
    expected = Image.fromarray(image).resize((64, 64), Image.Resampling.BILINEAR).crop((4, 4, 60, 60))
    assert np.array_equal(own(image), np.asarray(expected))
    expected = Image.fromarray(image).resize((56, 56), Image.Resampling.BILINEAR)
    assert np.array_equal(own.fitted("squash")(image), np.asarray(expected))


def test_texts_of_finished_files_stay_and_new_ones_say_which():
    transform, rest = Transform(256, 224), "mean 0 0 0, std 1 1 1"
    assert str(transform) == f"resize 256 bilinear, crop 224, {rest}"
    assert str(Transform(256, 224, fit="squash")) == f"resize 256 both sides bilinear, crop 224, {rest}"
    assert str(transform.fitted("squash")) == f"resize 224 both sides bilinear, crop 224, {rest}"
    assert str(transform.fitted("pad")) == f"resize 224 longer side bilinear, pad 224, {rest}"
    backbone = load_backbone({"name": "x", "model": "descriptor:hog"})
    assert str(backbone.transform) == "resize 128 bilinear, crop 128, hog"


@pytest.mark.parametrize("shape", [(256, 256), (600, 1200), (37, 20)])
def test_share_that_is_seen(shape):
    for transform in (
        Transform(256, 224),
        Transform(256, 224, fit="squash"),
        *map(Transform(9, 8).fitted, ("pad", "squash")),
    ):
        assert seen_by(str(transform), *shape) == transform.seen(*shape)
    assert Transform(256, 224).fitted("pad").seen(*shape) == Transform(256, 224).fitted("squash").seen(*shape) == 1
    assert Transform(256, 256).seen(*shape) == pytest.approx(min(shape) / max(shape), rel=0.01)


def test_resize_has_no_place_beside_what_cuts_nothing():
    with pytest.raises(ValueError, match=r"resize 256, which `fit: pad` has no use for: remove it"):
        Candidate(model="timm:resnet18", resize=256, fit="pad")


def fits(preparation, **candidate):
    config = {
        "datasets": {"digits": {"kind": "digits"}},
        "sources": {"cutpaste": {}},
        "candidates": [{"model": "descriptor:hog", **candidate}],
    } | ({"preparation": preparation} if preparation else {})
    known = study(validate(config))
    (one,) = known.backbones.values()
    return one.get("fit"), known


def test_candidates_follow_the_preparation_unless_they_say_otherwise():
    assert fits({"fit": "pad"})[0] == "pad"
    assert fits({"fit": "pad"}, fit="crop")[0] == "crop"
    assert fits("original")[0] is None
    assert fits("original", fit="squash")[0] == "squash"


def test_at_the_default_nothing_new_is_tracked():
    fit, known = fits(None)
    assert fit is None
    leaves = known.leaves
    assert leaves["preparation"] == leaves["config"]["preparation"] == {"size": 256, "crop": "center"}
    assert "fit" not in leaves["candidates"]["descriptor-hog"] and "fit" not in leaves["config"]["candidates"][0]
    assert fits({"fit": "pad"})[1].leaves["preparation"] == {"size": 256, "crop": "center", "fit": "pad"}
