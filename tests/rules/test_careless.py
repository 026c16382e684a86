"""A folder as a careless user leaves it: copies, masks, thumbnails, odd suffixes, 16 bits and a leak change no pick."""

import shutil
import struct
import zlib

import numpy as np
import pandas as pd
import pytest
from pages import Page
from PIL import Image
from workflow import dry_run, snakemake

from swsa_core.files.images import read_image
from swsa_core.files.text import read_json

pytestmark = pytest.mark.slow
SIDE = 128
TEXT = ["task", "candidate", "validation", "protocol", "setting", "n_anomalies", "closest"]
RESULTS = ["auroc.csv", "confidence.csv", "selection.csv"]


def photograph(number, defect=False):
    """One product on a fixed stage: a smooth texture of its own, a camera's noise, and perhaps a dark scratch."""
    draws = np.random.default_rng(number)
    texture = Image.fromarray(draws.integers(0, 256, (14, 14, 3), dtype=np.uint8))
    pixels = 70 + 0.5 * np.asarray(texture.resize((SIDE, SIDE), Image.Resampling.BICUBIC), float)
    pixels[:8] = pixels[:, :8] = 230
    if defect:
        row, column = draws.integers(20, 80, 2)
        pixels[row : row + 5, column : column + 40] *= 0.4
    return np.clip(pixels + draws.normal(0, 2, pixels.shape), 0, 255).astype(np.uint8)


def sixteen_bits(path):
    """Write the picture of a PNG file with 16 bits per sample, in full range, which Pillow cannot."""
    pixels = read_image(path).astype(">u2") * 257
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(of)) + kind + of + struct.pack(">I", zlib.crc32(kind + of)) for kind, of in parts]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **({"quality": 95} if path.suffix == ".jpg" else {}))


def clean(root):
    """36 normal images to train, 12 normal ones and 12 with a scratch to test; every third is a JPEG."""
    for number in range(60):
        folder = "train/good" if number < 36 else "test/good" if number < 48 else "test/scratch"
        write(root / folder / f"{number:02d}.{'jpg' if number % 3 == 0 else 'png'}", photograph(number, number >= 48))


def careless(root):
    clean(root)
    good = root / "train/good"
    shutil.copy(good / "04.png", good / "04a.png")  # the same file
    write(good / "04b.png", read_image(good / "04.png"))  # the same pixels
    Image.fromarray(read_image(good / "07.png")).save(good / "07a.jpg", quality=92)
    for number in range(36):  # masks of the product beside the images
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[8:, 8:] = 1
        mask[20 + number : 40 + number, 30:60] = 2
        write(good / "masks" / f"{number:02d}.png", mask)
    for folder in (".thumbnails", "@eaDir", "Thumbs"):
        for number in range(6):
            small = Image.fromarray(photograph(number)).resize((48, 48))
            (good / folder).mkdir(exist_ok=True)
            small.save(good / folder / f"{number:02d}.png")
    (good / "09.jpg").rename(good / "09.JPG")
    (good / "12.jpg").rename(good / "12.jpeg")
    sixteen_bits(good / "10.png")
    shutil.copy(good / "20.png", root / "test/good/leaked.png")


def config(**dataset):
    return {
        "results": "results",
        "datasets": {"parts": {"kind": "folder", "root": "parts"} | dataset},
        "support": {"seeds": 10},
        "sources": {"cutpaste": {}, "procedural": {"pool": 30}},
        "candidates": ["descriptor:hog", "descriptor:color_histogram", "mini:resnet_s"],
        "preparation": {"size": 64},
        "runtime": {"device": "cpu", "threads": 1},
        "evaluation": {"bootstrap": 100},
    }


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """The clean folder, and the careless one with the config that suits it, both run."""
    folder = tmp_path_factory.mktemp("careless")
    clean(folder / "clean/parts")
    careless(folder / "careless/parts")
    snakemake(folder / "clean", config())
    output = snakemake(folder / "careless", config(exclude=["masks"], on_leak="drop"))
    return folder, output


def test_the_same_images_in_the_support(studies):
    """Names differ where files were renamed; the copy of `04.png` that sorts behind it is left out, not the file itself."""
    folder, _ = studies
    one, other = (read_json(folder / name / "results/parts/support/parts.json") for name in ("clean", "careless"))
    assert "copies" not in one and "drawings" not in one and "drawings" not in other
    assert other["copies"] == [
        {"image_id": "train/good/04.png", "copies": ["train/good/04a.png", "train/good/04b.png"]},
        {"image_id": "train/good/07.png", "copies": ["train/good/07a.jpg"]},
    ]
    for part in ("seed_ids", "held_out_ids"):
        assert [image_id.partition(".")[0] for image_id in one[part]] == [
            image_id.partition(".")[0] for image_id in other[part]
        ]
    for first, second in zip(one["paths"].values(), other["paths"].values(), strict=True):
        assert np.array_equal(read_image(folder / "clean" / first), read_image(folder / "careless" / second))


@pytest.mark.parametrize("name", RESULTS)
def test_the_same_numbers(studies, name):
    folder, _ = studies
    one, other = (pd.read_csv(folder / study / "results/parts" / name) for study in ("clean", "careless"))
    pd.testing.assert_frame_equal(one, other, rtol=0, atol=1e-9)


def test_the_report_says_what_was_left_out_and_why(studies):
    folder, output = studies
    text = Page((folder / "careless/results/report.html").read_text()).text
    assert "Copies among the normal images: 3" in text
    assert "parts: parts: 3 copies: 'train/good/04a.png' of 'train/good/04.png'" in text
    assert "Test images that are copies of training images: 1" in text
    assert "1 image (normal), left out of the test: 'test/good/leaked.png' as 'train/good/20.png'" in text
    assert "parts: 3 of 39 images are left out as copies" in output
    assert "few colours" not in output and "few colours" not in text
    assert "copies" not in Page((folder / "clean/results/report.html").read_text()).text


@pytest.mark.study
def test_a_leak_that_is_only_told_of_makes_the_test_too_easy_and_one_that_is_an_error_is_named(studies):
    folder, _ = studies
    target = "results/parts/auroc.csv"
    dropped = pd.read_csv(folder / "careless" / target).query("validation == 'real'")
    assert dry_run(folder / "careless", config(exclude=["masks"], on_leak="error"), target) == {"evaluate": 1}
    output = snakemake(folder / "careless", config(exclude=["masks"], on_leak="error"), target, check=False)
    assert "evaluate: datasets.parts.on_leak: error, but test image 'test/good/leaked.png' of group 'good'" in output
    assert "Traceback" not in output
    snakemake(folder / "careless", config(exclude=["masks"]))  # to the report, with `on_leak` at its default
    text = Page((folder / "careless/results/report.html").read_text()).text
    assert "1 image (normal): 'test/good/leaked.png' as 'train/good/20.png'" in text
    assert "`on_leak: drop` tests without them" in text
    told = pd.read_csv(folder / "careless" / target).query("validation == 'real'")
    assert (told.n_normal == dropped.n_normal + 1).all()
    assert (told.auroc.to_numpy() >= dropped.auroc.to_numpy()).all()


@pytest.mark.study
def test_masks_that_are_not_excluded_stand_out(studies, tmp_path):
    folder, _ = studies
    shutil.copytree(folder / "careless/parts", tmp_path / "parts")
    output = snakemake(tmp_path, config())
    assert "parts: 36 of 75 images have few colours, as masks do" in output
    assert "if 'train/good/masks/00.png' is no normal image, leave it out by datasets.parts.exclude" in output
    drawings = read_json(tmp_path / "results/parts/support/parts.json")["drawings"]
    assert drawings == [f"train/good/masks/{number:02d}.png" for number in range(36)]
    text = Page((tmp_path / "results/report.html").read_text()).text
    assert "Images like masks among the normal images: 36" in text
    assert "parts: parts: 36 images: 'train/good/masks/00.png', 'train/good/masks/01.png', " in text


def test_too_few_images_without_copies_are_named(tmp_path):
    for number in range(12):
        write(tmp_path / "parts" / f"{number % 6}{'abc'[number // 6]}.png", photograph(number % 6))
    output = snakemake(tmp_path, config(), "results/parts/support/parts.json", check=False)
    assert "has 6 normal training images without 6 copies ('0b.png' of '0a.png', " in output
    assert "Traceback" not in output
