"""Reading images of every kind, and their preparation."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from swsa_core.basics.errors import InputError
from swsa_core.files.images import prepare, prepared, read_image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = np.arange(256, dtype=np.uint8).reshape(8, 32)


def saved(path, image, **options):
    image.save(path, **options)
    return read_image(path)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp"])
def test_lossless_rgb_is_read_as_written(tmp_path, suffix):
    image = saved(tmp_path / f"a.{suffix}", Image.fromarray(PIXELS), **({"lossless": True} if suffix == "webp" else {}))
    assert image.dtype == np.uint8 and np.array_equal(image, PIXELS)


def test_grey_and_bilevel_become_three_equal_channels(tmp_path):
    assert np.array_equal(saved(tmp_path / "grey.png", Image.fromarray(GREY)), np.dstack([GREY] * 3))
    bilevel = saved(tmp_path / "one.png", Image.fromarray(GREY > 99))
    assert np.array_equal(bilevel, np.dstack([np.where(GREY > 99, 255, 0)] * 3))


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("deep", [GREY.astype(np.uint16) * 257, GREY.astype(np.uint16) * 256])
def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path, suffix, deep):
    assert np.array_equal(saved(tmp_path / f"a.{suffix}", Image.fromarray(deep)), np.dstack([GREY] * 3))


def test_big_endian_sixteen_bit_tiff(tmp_path):
    image = Image.frombytes("I;16B", (32, 8), (GREY.astype(">u2") * 257).tobytes())
    assert np.array_equal(saved(tmp_path / "a.tif", image), np.dstack([GREY] * 3))


def test_sixteen_bit_rgb_is_scaled_as_grey_is(tmp_path):
    (tmp_path / "a.png").write_bytes(png_of_16_bit_rgb(PIXELS.astype(np.uint16) * 257))
    assert np.array_equal(read_image(tmp_path / "a.png"), PIXELS)


def test_twelve_bit_tiff_is_scaled(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff_of_12_bits([0, 4095, 2048, 1040]))
    assert read_image(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 255, 128, 65]


@pytest.mark.parametrize("values", [np.float32([[0.5]]), np.int32([[70000]])])
def test_pixels_of_unknown_range_are_refused(tmp_path, values):
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"a\.tif.*32 bits"):
        read_image(tmp_path / "a.tif")


def test_transparent_pixels_are_laid_over_white(tmp_path):
    rgba = np.uint8([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 128]]])
    assert saved(tmp_path / "rgba.png", Image.fromarray(rgba)).tolist() == [[[*RED], [*WHITE], [127] * 3]]
    grey = Image.fromarray(np.uint8([[[100, 255], [100, 0]]]), "LA")
    assert saved(tmp_path / "la.png", grey).tolist() == [[[100] * 3, [*WHITE]]]
    rgb = Image.fromarray(np.uint8([[RED, GREEN]]))
    assert saved(tmp_path / "key.png", rgb, transparency=GREEN).tolist() == [[[*RED], [*WHITE]]]


def test_palette_with_and_without_transparency(tmp_path):
    image = Image.fromarray(np.uint8([[0, 1, 2]]), "P")
    image.putpalette([*RED, *GREEN, *BLUE])
    assert saved(tmp_path / "p.png", image).tolist() == [[[*RED], [*GREEN], [*BLUE]]]
    assert saved(tmp_path / "index.png", image, transparency=1).tolist() == [[[*RED], [*WHITE], [*BLUE]]]
    assert saved(tmp_path / "alpha.png", image, transparency=b"\xff\x00\xff").tolist() == [[[*RED], [*WHITE], [*BLUE]]]


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_has_its_colours(tmp_path, suffix):
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    assert np.abs(saved(tmp_path / f"a.{suffix}", image).astype(int) - RED).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(tmp_path, orientation):
    stored = {  # the transformation that a viewer applies, undone
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.transpose(1, 0, 2),
        6: np.rot90,
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored(PIXELS)))
    assert np.array_equal(saved(tmp_path / "a.png", image, exif=exif), PIXELS)


def test_damaged_exif_data_do_not_hide_the_image(tmp_path):
    damaged = saved(tmp_path / "a.png", Image.fromarray(PIXELS), exif=b"Exif\0\0damaged")
    assert np.array_equal(damaged, PIXELS)


def test_the_first_frame_of_several_is_read(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, BLUE)]
    assert saved(tmp_path / "a.tif", frames[0], save_all=True, append_images=frames[1:])[0, 0].tolist() == [*RED]


@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif", "webp"])
def test_a_file_cut_off_anywhere_is_refused_by_name(tmp_path, suffix):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    noise.save(tmp_path / f"whole.{suffix}")
    content = (tmp_path / f"whole.{suffix}").read_bytes()
    for share in (0.01, 0.3, 0.9):
        (tmp_path / f"cut off.{suffix}").write_bytes(content[: int(share * len(content))])
        with pytest.raises(InputError, match=rf"cut off\.{suffix}"):
            read_image(tmp_path / f"cut off.{suffix}")


@settings(deadline=None)
@given(place=st.integers(0, 10**6), value=st.integers(0, 255))
def test_a_flipped_byte_gives_an_image_or_an_input_error(tmp_path_factory, place, value):
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    content[place % len(content)] = value
    path = tmp_path_factory.getbasetemp() / "flipped.png"
    path.write_bytes(content)
    try:
        image = read_image(path)
    except InputError as error:
        assert "flipped.png" in str(error)
    else:
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3


def test_what_is_no_image_is_refused_by_name(tmp_path):
    (tmp_path / "text.jpg").write_text("This is no image.")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    for name, reason in [("text.jpg", "known format"), ("empty.png", "0 bytes"), ("folder.png", "directory")]:
        with pytest.raises(InputError, match=rf"{name}.*{reason}"):
            read_image(tmp_path / name)
    with pytest.raises(InputError, match=r"gone\.png.*No such file"):
        read_image(tmp_path / "gone.png")


def test_errors_of_the_machine_are_no_bad_images(tmp_path, monkeypatch):
    def broken_disk(self):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("pathlib.Path.read_bytes", broken_disk)
    with pytest.raises(OSError, match="Input/output error") as caught:
        read_image(tmp_path / "a.png")
    assert not isinstance(caught.value, InputError)


def test_digits_are_scikit_learns_scaled_to_bytes():
    from sklearn.datasets import load_digits

    image = read_image("digits:17")
    assert image.shape == (8, 8, 3) and (image == image[..., :1]).all()
    assert np.allclose(image[..., 0] / 255, load_digits().images[17] / 16, atol=0.5 / 255)
    assert read_image("digits:0").max() <= 255 and read_image("digits:1796").shape == (8, 8, 3)
    with pytest.raises(InputError, match="0 to 1796"):
        read_image("digits:1797")


def test_procedural_images_are_drawn():
    procedural = pytest.importorskip("swsa_core.files.drawings")
    image = read_image("procedural:3:5")
    assert image.shape == (32, 32, 3) and image.dtype == np.uint8
    assert np.array_equal(image, procedural.pool_image(3, 5))


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 8, 13, 32]))
def test_preparation_is_that_of_the_original_diffusion_code(height, width, size):
    from torchvision.transforms import CenterCrop, Resize

    image = np.random.default_rng(height * 100 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    square = CenterCrop(min(height, width))(Image.fromarray(image))
    assert np.array_equal(prepare(image, size), np.array(Resize((size, size))(square)))


def test_prepared_reads_and_prepares_or_reads_only(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    assert np.array_equal(prepared(tmp_path / "a.png", "original"), PIXELS)
    assert np.array_equal(prepared(tmp_path / "a.png", {"size": 3, "crop": "center"}), prepare(PIXELS, 3))


def png_of_16_bit_rgb(values):
    """A PNG file of (h, w, 3) uint16, which Pillow reads but does not write."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = values.shape
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def tiff_of_12_bits(values):
    """A little-endian TIFF of one line of 12-bit grey, two values in three bytes."""
    import struct

    packed = int("".join(f"{value:012b}" for value in values), 2).to_bytes(len(values) * 3 // 2, "big")
    tags = [
        (256, len(values)),
        (257, 1),
        (258, 12),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, 1),
        (279, len(packed)),
    ]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    start = 8 + len(packed)
    return struct.pack("<2sHI", b"II", 42, start) + packed + struct.pack("<H", len(tags)) + entries + b"\0" * 4
