"""`snakemake inspect`: what stands out among images, what does not, and a page that shows it whatever the names are."""

import doctest
import os
import re

import layouts
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import Page
from PIL import Image
from workflow import snakemake

from swsa_core import datasets
from swsa_core.basics.errors import InputError
from swsa_core.candidates.backbone import transform_of
from swsa_core.candidates.transforms import Transform
from swsa_core.files.images import Colours, colours_of, header
from swsa_core.report import visible
from swsa_core.report.inspect import (
    SAMPLE,
    Group,
    copies_told,
    counts,
    groups_that_differ,
    in_short,
    lines,
    look,
    rows,
    sizes,
)
from swsa_core.report.inspect_page import Part, render
from swsa_core.report.stand_out import RARE, Seen, differs, stand_out

EVIL = "a 'b' \"c\" <img src=x onerror=alert(1)> & {{ 7 * 7 }}.png"


def photo(name, width=600, height=400, mode="RGB", suffix=".png", colours=20_000, share=0.01):
    return Seen(name, name, width, height, mode, suffix, Colours(colours, share))


PHOTOS = [photo(f"{number:03d}.png", colours=18_000 + 300 * number) for number in range(20)]
MASK = photo("mask.png", colours=2, share=0.9)
THUMBNAIL = photo("thumbnail.png", 60, 40, colours=2_300)
GREY = photo("grey.png", mode="L", colours=240)


def looked_at(kind, root, **changes):
    spec = layouts.spec(kind, root, **changes)
    index = datasets.index(spec)
    return spec, look(index), datasets.remarks(spec, set(index.image_id))


def page_of(spec, groups, remarks=(), name="mine"):
    return render([Part(name, "own folder", spec["root"], ["task"], groups, remarks)])


def test_a_mask_a_thumbnail_and_a_grey_image_stand_out_among_photographs():
    found = stand_out([*PHOTOS[:7], MASK, *PHOTOS[7:], THUMBNAIL, GREY])
    assert list(found) == ["mask.png", "thumbnail.png", "grey.png"], "in the order of the group"
    assert re.search(
        r"2 colours, the others 2\d,\d00 by the median: it may be a mask or a label map", found["mask.png"][0]
    )
    assert found["thumbnail.png"] == [
        "60 x 40 pixels, far smaller than the others (nearly all 600 x 400): it may be a thumbnail"
    ]
    assert found["grey.png"] == ["mode L, nearly all others RGB"]
    assert all(len(reasons) == 1 for reasons in found.values())


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (photo("x", suffix=".bmp"), "suffix .bmp, nearly all others .png"),
        (photo("x", suffix=""), "suffix none, nearly all others .png"),
        (photo("x", 2400, 1600), r"2400 x 1600 pixels, far larger than the others \(nearly all 600 x 400\)"),
        (photo("x", 600, 410), "600 x 410 pixels, nearly all others 600 x 400"),
        (photo("x", mode="16-bit"), "mode 16-bit, nearly all others RGB"),
        (photo("x", share=0.8), "one colour on 80% of its pixels, the others 1.0% by the median"),
    ],
)
def test_each_way_to_stand_out_has_its_reason(other, reason):
    found = stand_out([*PHOTOS, other])
    assert list(found) == ["x"] and len(found["x"]) == 1
    assert re.match(reason, found["x"][0])


def test_nothing_stands_out_in_a_clean_group():
    assert stand_out(PHOTOS) == {}
    assert (
        stand_out(
            [photo(str(number), *(size if number % 2 else size[::-1])) for number, size in enumerate([(600, 400)] * 9)]
        )
        == {}
    )
    assert stand_out([photo(str(number), 300 + 20 * number, 400) for number in range(15)]) == {}, "sizes vary"
    masks = [photo(str(number), colours=2, share=0.9) for number in range(10)]
    assert stand_out(masks) == {}, "where all are masks none stands out"
    assert stand_out([]) == stand_out([MASK]) == stand_out([*PHOTOS[:3], MASK]) == {}, "too few to tell"


@given(
    st.lists(
        st.tuples(st.sampled_from([(9, 9), (40, 30), (80, 60)]), st.sampled_from(["RGB", "L"]), st.integers(1, 900)),
        max_size=40,
    )
)
@settings(max_examples=100, deadline=None)
def test_never_more_than_a_tenth_stand_out_for_one_reason(images):
    seen = [photo(str(i), *size, mode=mode, colours=colours) for i, (size, mode, colours) in enumerate(images)]
    found = stand_out(seen)
    most = max(1, RARE * len(seen))
    assert sum(reason.startswith("mode") for reasons in found.values() for reason in reasons) <= most
    assert sum("colour" in reason for reasons in found.values() for reason in reasons) <= most
    assert found == stand_out([one._replace(path="elsewhere") for one in seen])
    assert set(found) == set(stand_out(seen[::-1])), "the order of the images does not matter"


def test_a_group_of_masks_differs_from_the_training_images():
    masks = [photo(f"m{number}", mode="L", colours=2, share=0.9) for number in range(6)]
    told = differs(masks, PHOTOS)
    assert told[0] == "mode L, the training images RGB"
    assert "2 colours by the median" in told[1] and "masks or label maps" in told[1]
    assert differs(PHOTOS[:5], PHOTOS) == [] and differs([], PHOTOS) == [] and differs(masks, []) == []
    groups = [Group("a", "train", "good", PHOTOS), Group("a", "test", "good", PHOTOS), Group("a", "test", "gt", masks)]
    assert list(groups_that_differ(groups)) == ["a, test, gt"]


def test_a_group_that_uses_ten_of_its_bits_is_told_the_key_and_not_taken_for_masks():
    dark = [photo(f"d{number}", mode="16-bit", colours=4, share=0.4)._replace(bits=10) for number in range(6)]
    sentence = "16-bit files that use only 10 bits: set bit_depth: 10"
    assert differs(dark, PHOTOS) == ["mode 16-bit, the training images RGB", sentence]
    groups = [Group("a", "train", "good", dark), Group("a", "test", "good", dark), Group("b", "train", "good", PHOTOS)]
    assert groups_that_differ(groups) == {groups[0].title: [sentence], groups[1].title: [sentence]}
    full = [one._replace(bits=16) for one in dark]
    assert "masks or label maps" in differs(full, PHOTOS)[1]


def test_the_depth_of_a_group_is_looked_up_unless_the_config_says_it(tmp_path):
    from PIL import Image

    for number in range(3):
        for split, most, kind in (("train", 256, np.uint8), ("test", 1024, np.uint16)):
            path = tmp_path / split / "red" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.random.default_rng(number).integers(0, most, (32, 32)).astype(kind)).save(path)
    _, groups, _ = looked_at("classes", tmp_path)
    assert "set bit_depth: 10" in "\n".join(lines(groups)) and "masks" not in "\n".join(lines(groups))
    _, groups, _ = looked_at("classes", tmp_path, bit_depth=10)
    assert "bit_depth" not in "\n".join(lines(groups))


def test_cells_of_the_table():
    assert sizes([]) == "" and sizes(PHOTOS) == "600 x 400" and sizes([*PHOTOS, THUMBNAIL]) == "60 x 40 to 600 x 400"
    assert counts(["RGB"] * 3) == "RGB" and counts(["RGB", "L", "RGB", ""]) == "RGB 2, L 1, none 1"
    (row,) = rows([Group("a", "train", "good", [*PHOTOS, GREY], {"x.png": "damaged"})])
    assert row["images"] == "22" and row["modes"] == "RGB 20, L 1"


@pytest.mark.parametrize(
    ("image", "mode"),
    [
        (Image.new("RGB", (7, 5)), "RGB"),
        (Image.new("L", (7, 5)), "L"),
        (Image.new("RGBA", (7, 5)), "RGBA"),
        (Image.new("P", (7, 5)), "palette"),
        (Image.fromarray(np.zeros((5, 7), np.uint16)), "16-bit"),
        (Image.new("1", (7, 5)), "1"),
    ],
)
def test_modes_of_headers(image, mode, tmp_path):
    image.save(tmp_path / "a.png")
    assert header(tmp_path / "a.png") == (7, 5, mode)


def test_a_header_tells_the_size_as_the_image_is_shown(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (7, 5)).save(tmp_path / "a.jpg", exif=exif)
    assert header(tmp_path / "a.jpg")[:2] == (5, 7)
    assert header("digits:3") == (8, 8, "L")


def test_a_large_label_map_keeps_its_few_colours():
    image = np.zeros((3000, 2000, 3), np.uint8)
    image[1000:2000, 500:1500] = 200, 0, 0
    number, share = colours_of(image)
    assert number == 2 and share == pytest.approx(5 / 6, abs=0.01)


@pytest.mark.parametrize("kind", ["cub", "flowers", "mvtec_ad", "visa", "classes", "folder", "digits"])
def test_every_kind_is_told_and_shown(kind, tmp_path):
    make = {"folder": layouts.split_folder}.get(kind) or getattr(layouts, kind, None)
    root = make(tmp_path / "mine") if make else None
    changes = {"allow_missing": True} if kind == "mvtec_ad" else {}
    spec, groups, remarks = looked_at(kind, root, **changes)
    told = "\n".join(lines(groups, remarks))
    page = page_of(spec, groups, remarks)
    assert "every image could be opened, and none stands out" in told
    assert {group.split for group in groups} == {"train", "test"}
    for group in groups:
        assert group.label in told and group.title in Page(page).text
    assert "No image stands out" in page


def test_a_folder_with_a_mask_a_thumbnail_damage_and_other_files(tmp_path):
    layouts.split_folder(tmp_path, train=20, defects={"scratch": 3})
    good = tmp_path / "train/good"
    Image.fromarray(np.zeros((32, 40, 3), np.uint8)).save(good / "mask.png")
    layouts.draw(good / "small.png", size=(10, 8))
    (good / "damaged.png").write_bytes((good / "001.png").read_bytes()[:200])
    (good / "empty.png").touch()
    (good / "raw.cr2").touch()
    os.mkfifo(good / "pipe.png")
    layouts.draw(tmp_path / "validation/good/1.png")
    spec, groups, remarks = looked_at("folder", tmp_path)
    told = "\n".join(lines(groups, remarks))
    assert "'train/good/mask.png': 1 colour, the others" in told
    assert "'train/good/small.png': 10 x 8 pixels, far smaller" in told
    assert (
        "is empty (0 bytes)" in told and "pipe.png' is a named pipe" in told and "damaged.png' cannot be read" in told
    )
    assert "files beside the images are not used: 1 .cr2" in told and "1 in validation/good" in told
    page = page_of(spec, groups, remarks)
    seen = Page(page).text
    for words in ("mask.png", "small.png", "empty.png", "damaged.png", "Images that cannot be read", ".cr2"):
        assert words in seen
    assert page.count('class="odd"') == 2


def test_the_page_escapes_every_name_and_loads_nothing(tmp_path):
    layouts.flat_folder(tmp_path / EVIL.removesuffix(".png"), count=6)
    Image.new("L", (90, 90)).save(tmp_path / EVIL.removesuffix(".png") / EVIL)
    (tmp_path / EVIL.removesuffix(".png") / f"bad {EVIL}").write_bytes(b"no image")
    spec, groups, remarks = looked_at("folder", tmp_path / EVIL.removesuffix(".png"))
    page = page_of(spec, groups, remarks, name=EVIL)
    assert (
        "<img src=x" not in page
        and "{{ 7 * 7 }}" in page
        and "49" not in re.sub(r"base64,[^\"]*", "", page).split("</style>")[-1]
    )
    assert EVIL in Page(page).text
    assert all(link.startswith(("data:image/", "#")) for link in Page(page).links)
    assert len(set(Page(page).ids)) == len(Page(page).ids)


def test_copies_and_all_else_are_told_in_one_paragraph(tmp_path):
    layouts.split_folder(tmp_path, train=20, defects={"scratch": 3})
    good = tmp_path / "train/good"
    (good / "copy.png").write_bytes((good / "001.png").read_bytes())
    (good / "empty.png").touch()
    layouts.draw(good / "small.png", size=(10, 8))
    spec, groups, _ = looked_at("folder", tmp_path)
    [told] = copies_told(groups)
    assert "'train/good/copy.png' of 'train/good/001.png'" in told
    summary = Part("mine", "own folder", spec["root"], ["task"], groups, ()).summary
    short = in_short(summary, groups)
    assert short.startswith("1 task, 23 training images") and short.count("\n") == 0
    assert "1 image cannot be read ('train/good/empty.png')" in short
    assert "1 normal image will be left out as a copy ('train/good/copy.png' of 'train/good/001.png')" in short
    assert "1 image stands out ('train/good/small.png')" in short
    (good / "empty.png").unlink(), (good / "copy.png").unlink(), (good / "small.png").unlink()
    _, groups, _ = looked_at("folder", tmp_path)
    assert copies_told(groups) == [] and in_short("fine", groups).startswith(
        "fine; every image can be read, none is a copy"
    )


def test_one_image_no_image_and_images_that_went_away(tmp_path):
    layouts.flat_folder(tmp_path, count=1)
    spec = layouts.spec("folder", tmp_path)
    index = datasets.index(spec)
    (tmp_path / "000.png").unlink()
    groups = look(index)
    assert "No such file" in groups[0].unreadable["000.png"]
    for images in (groups, look(index[:0])):
        assert isinstance(lines(images), list) and Page(page_of(spec, images)).text
    assert "No data set is on disk" in render([])
    layouts.flat_folder(tmp_path, count=1)
    assert len(look(index)[0].seen) == 1


def test_only_a_sample_of_a_large_group_is_decoded_and_this_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("swsa_core.report.inspect.SAMPLE", 4)
    layouts.flat_folder(tmp_path, count=9)
    shown = []
    groups = look(datasets.index(layouts.spec("folder", tmp_path)), lambda done, total: shown.append((done, total)))
    assert groups[0].counted == 4 and len(groups[0].seen) == 9
    assert shown[-1] == (9, 9)
    assert "of 4 of 9 images" in "\n".join(lines(groups))
    assert SAMPLE == 200


@pytest.mark.skipif(not (layouts.SHARED / "data").is_dir(), reason="needs the real images beside the clone")
@pytest.mark.parametrize(
    ("kind", "root", "expected"),
    [
        ("flowers", "flowers102", set()),
        ("mvtec_ad", "mvtec_ad", set()),
        # Birds cut out of their background, or before a sky of one colour.
        (
            "cub",
            "CUB_200_2011",
            {"Laysan_Albatross_0050_870.jpg", "Sooty_Albatross_0014_796373.jpg", "Sooty_Albatross_0029_796357.jpg"},
        ),
    ],
)
def test_what_stands_out_among_real_images_is_what_was_looked_at(kind, root, expected):
    _, groups, _ = looked_at(kind, layouts.SHARED / "data" / root, allow_missing=True)
    found = {image_id.rpartition("/")[2] for group in groups for image_id in stand_out(group.seen)}
    assert found == expected
    assert groups_that_differ(groups) == {}
    assert not any(group.unreadable for group in groups)


def test_what_is_seen_is_told_with_the_key_that_lets_all_be_seen():
    wide, square = [(400, 600)] * 3, [(256, 256)] * 2
    ways = {"a": Transform(256, 224), "b": Transform(256, 224), "c": Transform(224, 224, fit="squash")}
    told, cure = visible.remarks(wide, "crop", ways, own=["b", "c"])
    assert told == "seen of an image, on average: 66 % by the preparation; 51 % by a, b; 100 % by c"
    follow = "`preparation.fit: pad`, which candidates without a `fit` of their own follow"
    assert cure == f"nothing is seen of a defect that is cut off: set {follow}, and `fit: pad` of b"
    assert visible.remarks(square, "crop", {"c": ways["c"]}, own=["c"]) == [
        "seen of an image, on average: 100 % by the preparation; 100 % by c"
    ]
    told, cure = visible.remarks(wide + square, None, ways, own=[])
    assert "preparation" not in told + cure and cure.endswith("set `fit: pad` of a, b")
    assert visible.remarks(wide, "pad", {"b": ways["b"]}, own=[])[1].endswith("set `fit: pad` of b")
    assert visible.remarks([], "crop", ways, own=[]) == []


@pytest.mark.parametrize("model", ["descriptor:hog", "mini:vit_s", "torchvision:squeezenet1_1", "timm:mobilenetv2_100"])
def test_a_transform_is_known_without_the_weights(model):
    own = {"name": model, "model": model, "resize": 96, "crop": 64}
    assert transform_of(own).seen(200, 200) == pytest.approx((64 / 96) ** 2)
    assert transform_of(own | {"fit": "pad"}).seen(200, 300) == 1
    with pytest.raises(InputError, match=r"^candidates\.\w+:\w+: crop 100 is larger than resize 96"):
        transform_of(own | {"crop": 100})


def test_examples_in_docstrings():
    assert doctest.testmod(visible).failed == 0


def test_the_rule_prints_and_writes_the_page(tmp_path):
    layouts.split_folder(tmp_path / "mine", train=6)
    (tmp_path / "mine/train/good/bad.png").write_bytes(b"x")
    config = {
        "results": "results",
        "datasets": {
            "mine": {"kind": "folder", "root": "mine"},
            "later": {"kind": "flowers", "root": "not/there"},
        },
        "support": {"seeds": 4},
        "sources": {"cutpaste": {}},
        "candidates": [{"model": "descriptor:hog", "resize": 32, "crop": 32}],
        "preparation": {"size": 32},
    }
    printed = snakemake(tmp_path, config, "inspect", "--quiet", "all")
    assert "seen of an image, on average: 80 % by the preparation, 80 % by descriptor:hog" in printed.replace(";", ",")
    assert "set `preparation.fit: pad`" in printed
    assert "mine (own folder): 1 task, 7 training images and 3 test images" in printed
    assert "bad.png' cannot be read" in printed and "'not/there' is not there yet" in printed
    assert "data-1" in (tmp_path / "results/inspect.html").read_text()
