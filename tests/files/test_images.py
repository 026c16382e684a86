"""Reading images of every kind, and their preparation."""

import errno
import io
import os
import socket
from contextlib import chdir

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from swsa_core.basics.errors import InputError, NeedsKey
from swsa_core.files import listing
from swsa_core.files.images import MAX_BYTES, prepare, prepared, read_image, significant_bits, squared
from swsa_core.files.pixels import FORMATS
from swsa_core.files.reading import Reading, address, parse

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

    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    monkeypatch.setattr("pathlib.Path.read_bytes", broken_disk)
    with pytest.raises(OSError, match="Input/output error") as caught:
        read_image(tmp_path / "a.png")
    assert not isinstance(caught.value, InputError)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.ENOMEM, errno.EMFILE])
@pytest.mark.parametrize("function", ["stat", "read_bytes"])
def test_no_error_number_of_the_machine_is_a_bad_image(tmp_path, monkeypatch, number, function):
    def broken(self, **options):
        raise OSError(number, os.strerror(number), str(self))

    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    monkeypatch.setattr(f"pathlib.Path.{function}", broken)
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        read_image(tmp_path / "a.png")
    assert caught.value.errno == number


@pytest.mark.parametrize(
    "error", [MemoryError(), OSError("out of memory when reading image file"), OSError(errno.EIO, "Input/output error")]
)
def test_errors_of_the_machine_while_decoding_are_no_bad_images(tmp_path, monkeypatch, error):
    def broken(*arguments, **options):
        raise error

    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    monkeypatch.setattr("PIL.Image.open", broken)
    with pytest.raises((MemoryError, OSError)) as caught:
        read_image(tmp_path / "a.png")
    assert not isinstance(caught.value, InputError)
    assert isinstance(caught.value, MemoryError) != bool(getattr(error, "errno", None))


def test_only_regular_files_are_opened(tmp_path):
    """A pipe would wait for a writer for ever, a link to /dev/zero be read without end."""
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "terminal.png").symlink_to("/dev/tty")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "dangling.png").symlink_to("nowhere.png")
    with socket.socket(socket.AF_UNIX) as listening, chdir(tmp_path):
        listening.bind("socket.png")  # a name of at most 107 bytes
    reasons = {
        "pipe": "a named pipe; expected a regular file",
        "zero": "a device; expected a regular file",
        "terminal": "a device; expected a regular file",
        "socket": "a socket; expected a regular file",
        "loop": "a link that leads to itself",
        "dangling": "No such file",
    }
    for name, reason in reasons.items():
        with pytest.raises(InputError, match=rf"^image '.*{name}\.png' [^\n]*{reason}"):
            read_image(tmp_path / f"{name}.png")


def test_a_link_to_an_image_is_read(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("a.png")
    assert np.array_equal(read_image(tmp_path / "b.png"), PIXELS)


def test_a_huge_file_is_not_read(tmp_path):
    with open(tmp_path / "a.png", "wb") as file:
        file.truncate(MAX_BYTES + 1)  # takes no room on the disk
    with pytest.raises(InputError, match=r"a\.png' has 2,000,000,001 bytes; expected at most 2,000,000,000"):
        read_image(tmp_path / "a.png")


def test_programs_are_not_handed_to_other_programs(tmp_path, monkeypatch):
    """EPS would be run by Ghostscript, also under the name of an image, or inside a format that holds others."""
    ran = []
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *arguments, **options: ran.append(1))
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n")
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "EPS"  # to Pillow it is one
    with pytest.raises(InputError, match=r"a\.png.*known format"):
        read_image(tmp_path / "a.png")
    assert not ran


def test_formats_are_raster_images_and_suffixes_are_theirs():
    Image.init()
    left_out = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF", "IPTC", "CUR", "ICNS", "ICO", "PCD"}
    assert set(FORMATS) | left_out == set(Image.OPEN) and not set(FORMATS) & left_out
    # MPO is a JPEG of several frames, which Pillow opens as JPEG
    suffixes = {suffix for suffix, name in Image.registered_extensions().items() if name in {*FORMATS, "MPO"}}
    assert list(listing.SUFFIXES) == sorted(suffixes)


@pytest.mark.parametrize(
    "suffix", ["pgm", "ppm", "pnm", "jp2", "j2k", "gif", "apng", "tga", "qoi", "sgi", "pcx", "dib"]
)
def test_other_lossless_formats_are_read_as_written(tmp_path, suffix):
    grey = suffix in ("pgm", "gif")
    image = Image.fromarray(GREY if grey else PIXELS)
    expected = np.dstack([GREY] * 3) if grey else PIXELS
    options = {"format": "QOI"} if suffix == "qoi" else {}
    assert np.array_equal(saved(tmp_path / f"a.{suffix}", image, **options), expected)


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "avif"])
def test_other_formats_with_loss_are_read_nearly_as_written(tmp_path, suffix):
    smooth = Image.fromarray(np.dstack([GREY] * 3)).resize((64, 64))
    assert np.abs(saved(tmp_path / f"a.{suffix}", smooth, quality=100).astype(int) - np.array(smooth)).max() <= 4


def deep(path, values):
    """A file of (h, w) or (h, w, 3) uint16 in the format of its suffix."""
    if path.suffix == ".pgm":
        height, width = values.shape
        path.write_bytes(b"P5 %d %d 65535\n" % (width, height) + values.astype(">u2").tobytes())
    elif values.ndim == 3:
        path.write_bytes(png_of_16_bit_rgb(values) if path.suffix == ".png" else tiff_of_16_bit_rgb(values))
    else:
        Image.fromarray(values).save(path)
    return path


@pytest.mark.parametrize("bits", range(8, 17))
@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_grey_of_a_known_depth_is_scaled(tmp_path, bits, suffix):
    path = deep(tmp_path / f"a.{suffix}", np.rint(GREY * ((2**bits - 1) / 255)).astype(np.uint16))
    assert significant_bits(path) == bits
    image = read_image(address(path, Reading(bits=bits)))
    assert np.abs(image.astype(int) - np.dstack([GREY] * 3)).max() <= 1 and image.max() == 255


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_colour_of_a_known_depth_is_scaled(tmp_path, bits, suffix):
    values = (PIXELS.astype(np.uint16) << (bits - 8)) | (0 if bits == 8 else 1)
    values[0, 0] = 2**bits - 1
    path = deep(tmp_path / f"a.{suffix}", values)
    assert significant_bits(path) == bits
    assert np.array_equal(read_image(address(path, Reading(bits=bits))), values >> (bits - 8))
    assert np.array_equal(read_image(path), values >> 8)


def test_a_depth_stands_for_all_images_of_a_data_set_never_for_one(tmp_path):
    """A dark image stays dark beside a bright one: the factor is that of the depth, whatever the image holds."""
    bright = deep(tmp_path / "bright.png", np.full((4, 4), 1000, np.uint16))
    dark = deep(tmp_path / "dark.png", np.full((4, 4), 100, np.uint16))
    assert (significant_bits(bright), significant_bits(dark)) == (10, 7)
    assert read_image(address(bright, Reading(bits=10)))[0, 0, 0] == 250
    assert read_image(address(dark, Reading(bits=10)))[0, 0, 0] == 25


def test_eight_bit_images_and_those_that_tell_their_depth_keep_their_values(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    (tmp_path / "twelve.tif").write_bytes(tiff_of_12_bits([0, 4095, 2048, 1040]))
    (tmp_path / "ten.pgm").write_bytes(b"P5 4 1 1023\n" + np.array([0, 1023, 512, 260], ">u2").tobytes())
    assert [significant_bits(tmp_path / name) for name in ("a.png", "twelve.tif", "ten.pgm")] == [0, 0, 0]
    assert np.array_equal(read_image(address(tmp_path / "a.png", Reading(bits=10))), PIXELS)
    for name in ("twelve.tif", "ten.pgm"):
        assert read_image(address(tmp_path / name, Reading(bits=8)))[0, :, 0].tolist() == [*(0, 255, 128, 65)]


def test_more_bits_than_the_data_set_has_are_told(tmp_path):
    path = deep(tmp_path / "a.png", np.full((4, 4), 1024, np.uint16))
    with pytest.raises(InputError, match=r"a\.png.*values up to 1024, which take 11 bits; .* the 10 of .* bit_depth"):
        read_image(address(path, Reading(bits=10)))


def test_hot_pixels_do_not_hide_the_depth(tmp_path):
    """One pixel in a thousand may be hot; the value_range that the sentence names reads such an image."""
    values = np.random.default_rng(0).integers(0, 1024, (40, 40), dtype=np.uint16)
    values[3, 3] = 65535
    path = deep(tmp_path / "a.png", values)
    assert significant_bits(path) == 10
    with pytest.raises(NeedsKey, match=r"values up to 65535.* or give value_range: \[0, 1023\] instead"):
        read_image(address(path, Reading(bits=10)))
    assert np.array_equal(
        read_image(address(path, Reading(value_range=(0, 1023))))[..., 0],
        np.rint(np.minimum(values, 1023) * (255 / 1023)).astype(np.uint8),
    )


def test_nobody_is_told_to_remove_a_file_that_needs_a_key(tmp_path):
    Image.fromarray(GREY.astype(np.float32)).save(tmp_path / "float.tif")
    deep(tmp_path / "bits.png", np.full((4, 4), 1024, np.uint16))
    Image.fromarray(PIXELS).save(tmp_path / "large.png")
    for name, reading in (("float.tif", Reading()), ("bits.png", Reading(10)), ("large.png", Reading(max_pixels=34))):
        with pytest.raises(NeedsKey, match=rf"{name}' cannot be read \(") as told:
            read_image(address(tmp_path / name, reading))
        assert "remove it" not in str(told.value) and "replace it" not in str(told.value)
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="replace it or remove it") as told:
        read_image(tmp_path / "bad.png")
    assert not isinstance(told.value, NeedsKey)


def test_features_of_ten_bit_images_are_those_of_eight_bit_images(tmp_path):
    """hog of the same scene by a camera of 10 bits and by one of 8."""
    from swsa_core.candidates.descriptor import hog

    scene = np.random.default_rng(0).integers(0, 1024, (128, 128), dtype=np.uint16)
    path = deep(tmp_path / "ten.png", scene)
    Image.fromarray((scene >> 2).astype(np.uint8)).save(tmp_path / "eight.png")
    ten, eight = read_image(address(path, Reading(bits=10))), read_image(tmp_path / "eight.png")
    assert np.array_equal(hog(ten), hog(eight))
    rounded = np.rint(scene * (255 / 1023)).astype(np.uint8)  # the other way to make 8 bits of 10
    assert np.abs(hog(ten) - hog(np.dstack([rounded] * 3))).max() < 0.02
    assert read_image(path).max() == 3  # what a depth of 16 bits makes of it


@pytest.mark.parametrize("suffix", ["tif", "pfm"])
def test_float_pixels_are_scaled_by_the_range(tmp_path, suffix):
    values = (GREY.astype(np.float32) - 100) / 500
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(values).save(path)
    whole = Reading(value_range=(-0.2, 0.31))
    assert np.array_equal(read_image(address(path, whole)), np.dstack([GREY] * 3))
    half = read_image(address(path, Reading(value_range=(-0.2, 0.055))))[..., 0]
    assert np.abs(half.astype(int) - np.minimum(GREY * 2.0, 255)).max() <= 1  # what lies beyond is cut off
    with pytest.raises(InputError, match=r"value_range: \[low, high\] of its data set.* from -0\.2 to 0\.31"):
        read_image(path)


def test_integers_of_32_and_of_signed_16_bits_take_a_range_too(tmp_path):
    Image.fromarray(GREY.astype(np.int32) * 300).save(tmp_path / "a.tif")
    assert np.array_equal(read_image(address(tmp_path / "a.tif", Reading(value_range=(0, 255 * 300))))[..., 0], GREY)
    path = deep(tmp_path / "b.png", 20_000 + GREY.astype(np.uint16) * 10)
    assert np.array_equal(read_image(address(path, Reading(value_range=(20_000, 22_550))))[..., 0], GREY)
    path = deep(tmp_path / "c.png", 20_000 + PIXELS.astype(np.uint16) * 10)
    assert np.array_equal(read_image(address(path, Reading(value_range=(20_000, 22_550)))), PIXELS)


def test_values_that_are_not_finite_are_refused(tmp_path):
    Image.fromarray(np.float32([[0, np.nan]])).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"a\.tif.*not finite"):
        read_image(address(tmp_path / "a.tif", Reading(value_range=(0, 1))))


@given(
    st.none() | st.integers(8, 15),
    st.none() | st.tuples(st.floats(-1e30, 1e30), st.floats(-1e30, 1e30)),
    st.integers(1, 10**12),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
)
def test_an_address_says_what_was_put_in(bits, value_range, max_pixels, path):
    reading = Reading(bits, value_range, max_pixels)
    assert parse(address(path, reading)) == (path, reading)
    assert address(path) == path


def test_images_of_too_many_pixels_name_the_key(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    assert np.array_equal(read_image(address(tmp_path / "a.png", Reading(max_pixels=35))), PIXELS)
    with pytest.raises(InputError, match=r"a\.png.*35 pixels, more than the 34 of max_pixels"):
        read_image(address(tmp_path / "a.png", Reading(max_pixels=34)))
    before = Image.MAX_IMAGE_PIXELS
    assert before == 89_478_485  # Pillow's own limit is as it was


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "I;16"])
def test_large_images_are_halved_until_they_are_not_large(tmp_path, monkeypatch, suffix, mode):
    """As ordinary ones are read and halved, within what JPEG's own halving differs."""
    if suffix == "jpg" and mode not in ("L", "RGB"):
        pytest.skip("JPEG has no such pixels")
    smooth = Image.fromarray(GREY).resize((96, 64), Image.Resampling.BILINEAR)
    image = Image.fromarray(np.array(smooth).astype(np.uint16) * 257) if mode == "I;16" else smooth.convert(mode)
    image.save(tmp_path / f"a.{suffix}", **({"quality": 100, "subsampling": 0} if suffix == "jpg" else {}))
    whole = Image.fromarray(read_image(tmp_path / f"a.{suffix}"))
    for limit, factor in [(96 * 64, 1), (96 * 64 - 1, 2), (48 * 32 - 1, 4)]:
        monkeypatch.setattr("swsa_core.files.pixels.LARGE", limit)
        found = read_image(tmp_path / f"a.{suffix}")
        assert np.abs(found.astype(int) - np.array(whole.reduce(factor))).max() <= (2 if suffix == "jpg" else 1)


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
    packed = int("".join(f"{value:012b}" for value in values), 2).to_bytes(len(values) * 3 // 2, "big")
    return tiff(len(values), 1, 12, 1, packed)


def tiff_of_16_bit_rgb(values):
    """A little-endian TIFF of (h, w, 3) uint16."""
    height, width, _ = values.shape
    return tiff(width, height, 16, 3, values.astype("<u2").tobytes())


def tiff(width, height, bits, channels, packed):
    """A little-endian TIFF of one strip without compression."""
    import struct

    packed += struct.pack("<HHH", bits, bits, bits)  # the depths of three channels, which an entry has no room for
    depth = (258, 3, 3, 8 + len(packed) - 6) if channels == 3 else (258, 4, 1, bits)
    tags = [
        *((256, 4, 1, width), (257, 4, 1, height), depth, (259, 4, 1, 1), (262, 4, 1, 1 if channels == 1 else 2)),
        *((273, 4, 1, 8), (277, 4, 1, channels), (278, 4, 1, height), (279, 4, 1, len(packed) - 6)),
    ]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    start = 8 + len(packed)
    return struct.pack("<2sHI", b"II", 42, start) + packed + struct.pack("<H", len(tags)) + entries + b"\0" * 4


def test_preparation_that_cuts_nothing_off():
    image = np.random.default_rng(0).integers(0, 256, (30, 60, 3), dtype=np.uint8)
    for size, fit in (((16, 16), "squash"), ((16, 8), "pad")):
        expected = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
        assert np.array_equal(prepare(image, 16, fit), np.array(expected))
    assert prepare(image[:1], 16, "pad").shape == (1, 16, 3), "a side has a pixel at least"


def test_squares_are_filled_up_with_grey():
    image = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    square = squared(image, 8)
    assert np.array_equal(square[:3, :5], image)
    assert (square[3:] == 128).all() and (square[:, 5:] == 128).all()
