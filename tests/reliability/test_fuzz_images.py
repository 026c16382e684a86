"""Image files changed at random are read or refused; benchmarks/fuzz.py tries thousands more, in processes of little memory."""

import os
from collections import Counter

import fuzz
import mutations
import numpy as np
import pytest

from swsa_core.basics.errors import InputError
from swsa_core.files.images import header, read_image


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_files_that_are_changed_are_read_but_for_those_whose_range_is_unknown():
    outcomes = [(fuzz.image_outcome(file), file.suffix) for file in fuzz.valid_images()]
    assert {suffix for outcome, suffix in outcomes if outcome != "accepted"} == {"tif", "pfm"}
    assert Counter(outcome for outcome, _ in outcomes) == {"accepted": len(outcomes) - 5, "refused with a sentence": 5}


def test_changed_files_are_read_or_refused():
    found = Counter(fuzz.check_image(number, seed=1) for number in range(300))
    assert set(found) == set(fuzz.OUTCOMES[:2]) and min(found.values()) > 30


def test_a_process_that_may_use_little_memory_reads_changed_files(tmp_path):
    found = Counter(outcome for _, outcome, _ in fuzz.tried(fuzz.check_image, list(range(40)), 2, str(tmp_path)))
    assert set(found) == set(fuzz.OUTCOMES[:2]) and found.total() == 40


def hanging(number, seed):
    """A case that passes over the first exception, that dies, or that is good, by its number."""
    if number == 1:
        while True:
            pass
    if number == 2:
        os._exit(1)
    if number == 3:
        return np.zeros(10**10, np.uint8).tobytes()
    return "accepted"


def test_hangs_deaths_and_hunger_are_told(tmp_path, monkeypatch):
    found = {number: outcome for number, outcome, _ in fuzz.tried(hanging, list(range(5)), 0, str(tmp_path))}
    assert found == {0: "accepted", 1: "hang", 2: "traceback", 3: "traceback", 4: "accepted"}


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "tif", "png", "webp"])
def test_the_header_has_the_size_that_is_read(suffix, turn, tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = turn
    Image.new("RGB", (20, 10)).save(f"a.{suffix}", exif=exif)
    told = header(f"a.{suffix}")
    assert read_image(f"a.{suffix}").shape == (told.height, told.width, 3)
    assert (told.width, told.height) == ((10, 20) if turn >= 5 else (20, 10))


def test_a_turn_that_there_is_not_turns_nothing(tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 128
    Image.new("RGB", (20, 10)).save("a.tif", exif=exif)
    assert header("a.tif")[:2] == (20, 10) and read_image("a.tif").shape == (10, 20, 3)


def test_chunks_of_a_png_that_unpack_to_very_much_are_not_unpacked():
    import zlib

    bomb = zlib.compress(bytes(200_000_000), 9)
    (png,) = [file for file in fuzz.valid_images() if file.suffix == "png"][:1]
    chunks = mutations.png_chunks(png.content)
    for kind, data in ((b"iCCP", b"x\0\0" + bomb), (b"zTXt", b"x\0\0" + bomb), (b"iTXt", b"x\0\1\0\0\0" + bomb)):
        with_bomb = [chunks[0], (kind, data), *chunks[1:]]
        with open("a.png", "wb") as file:
            file.write(png.content[:8] + b"".join(mutations.png_chunk(*chunk) for chunk in with_bomb))
        try:
            assert read_image("a.png").shape == (37, 41, 3)
        except InputError as error:
            assert "a.png" in str(error)
