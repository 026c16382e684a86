"""Copies of a picture: saved again they are found, and different photographs of like products are not joined."""

from io import BytesIO

import numpy as np
import pytest
from layouts import SHARED
from PIL import Image

from swsa_core.files.copies import drawings_among, groups_of_copies, likeness, picture
from swsa_core.files.images import read_image


def photograph(seed, side=128, noise=1.0):
    """A product on a fixed stage, its surface of its own and placed anew, with the noise of a camera."""
    generator = np.random.default_rng(seed)
    rough = Image.fromarray(generator.integers(0, 256, (20, 20, 3), dtype=np.uint8)).resize((side, side), 3)
    rows, columns = np.mgrid[:side, :side] - side / 2 - generator.normal(0, 2, (2, 1, 1))
    inside = np.exp(-(((rows**2 + columns**2) / (0.35 * side) ** 2) ** 4))[..., None]
    pixels = inside * (50 + 0.6 * np.asarray(rough)) + (1 - inside) * 230 + generator.normal(0, noise, (side, side, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def saved(image, kind, **options):
    file = BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return np.asarray(Image.open(file).convert("RGB"))


def groups(images):
    return groups_of_copies({name: picture(image) for name, image in images.items()}, images.get)


def test_a_photograph_saved_again_is_one_picture_and_others_stay_apart():
    images = {f"{seed}": photograph(seed) for seed in range(12)}
    assert groups(images) == []
    first, second = images["3"], images["5"]
    noisy = np.clip(first + np.random.default_rng(0).normal(0, 2, first.shape), 0, 255).astype(np.uint8)
    few = second.copy()
    few[::40, ::40] = 255
    images |= {"noisy": noisy, "same": second.copy(), "few": few, "jpeg": saved(first, "JPEG", quality=60)}
    images |= {"webp": saved(first, "WEBP", quality=85), "again": saved(saved(first, "JPEG"), "JPEG", quality=90)}
    assert groups(images) == [["3", "noisy", "jpeg", "webp", "again"], ["5", "same", "few"]]


def test_what_is_not_the_same_picture():
    image = photograph(0)
    defect = image.copy()
    defect[50:62, 60:72] = 20
    brighter = np.clip(image * 1.2, 0, 255).astype(np.uint8)
    for other in (defect, brighter, image[:, ::-1], np.roll(image, 3, axis=1), image[:64, :64], image[..., ::-1]):
        assert not likeness(image, np.ascontiguousarray(other))
    flat, flatter = np.full((64, 64, 3), 90, np.uint8), np.full((64, 64, 3), 91, np.uint8)
    assert likeness(flat, flat) == "same" and not likeness(flat, flatter)
    assert not likeness(flat, flat.reshape(32, 128, 3)), "the same bytes in another shape"


@pytest.mark.parametrize("shift", [0.1, 0.3, 1.0])
def test_photographs_of_one_rigid_part_on_a_fixed_stage_stay_apart(shift):
    """They differ by a fraction of a pixel, the light and noise; the same file twice is a copy all the same."""
    generator = np.random.default_rng(1)
    part = np.asarray(Image.fromarray(photograph(0, side=288, noise=0)).convert("L"), float)
    spectrum, rows, columns = np.fft.fft2(part), *np.meshgrid(*[np.fft.fftfreq(288)] * 2, indexing="ij")
    images = {}
    for shot in range(20):
        down, right = generator.normal(0, shift, 2)
        moved = np.fft.ifft2(spectrum * np.exp(-2j * np.pi * (rows * down + columns * right))).real
        shown = moved * generator.normal(1, 0.01) + generator.normal(0, 2, moved.shape)
        grey = np.clip(shown[16:272, 16:272], 0, 255).astype(np.uint8)
        images[str(shot)] = np.repeat(grey[..., None], 3, axis=2)
    assert groups(images) == []
    assert groups(images | {"twice": images["7"].copy()}) == [["7", "twice"]]


def test_noise_alone_makes_no_two_pictures_alike():
    draws = np.random.default_rng(0)
    assert groups({str(i): draws.integers(0, 256, (32, 32, 3), dtype=np.uint8) for i in range(40)}) == []
    assert groups({str(i): draws.normal(128, 2, (96, 96, 3)).astype(np.uint8) for i in range(40)}) == []


def test_masks_stand_out_among_photographs_only():
    mask = np.zeros((128, 128, 3), np.uint8)
    mask[30:60] = 2
    photographs = {str(seed): picture(photograph(seed)) for seed in range(3)}
    assert drawings_among(photographs | {"mask": picture(mask)}) == ["mask"]
    assert drawings_among(photographs) == drawings_among({"mask": picture(mask)}) == []


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="the real images (../shared/data) are not here")
@pytest.mark.parametrize(("folder", "known"), [("mvtec_ad/bottle", []), ("flowers102/jpg", [["07307", "07309"]])])
def test_real_photographs(folder, known):
    paths = sorted(path for path in (SHARED / "data" / folder).rglob("*") if path.suffix in (".png", ".jpg"))
    images = {str(path): read_image(path) for path in paths}
    found = groups(images)
    assert [[path[-9:-4] for path in group] for group in found] == known
    assert all(likeness(image, saved(image, "JPEG", quality=60)) for image in list(images.values())[::10])
