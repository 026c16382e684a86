"""Data sets as people keep them: other spellings, sub-directories, patterns of files, other tables, deep images."""

import os

import layouts
import numpy as np
import pytest
from PIL import Image

from swsa_core import datasets
from swsa_core.basics.errors import InputError
from swsa_core.datasets.depth import check_depth, check_splits
from swsa_core.datasets.section import LATER, Dataset
from swsa_core.files.images import read_image
from swsa_core.files.reading import Reading, address, parse

TINY = {
    "cub": layouts.cub,
    "flowers": layouts.flowers,
    "mvtec_ad": layouts.mvtec_ad,
    "visa": layouts.visa,
    "classes": layouts.classes,
    "folder": layouts.split_folder,
}


def found(kind, root, **changes):
    """{image id: (split, group)} of a data set, in order."""
    index = datasets.index(layouts.spec(kind, root, **changes))
    return dict(zip(index["image_id"], zip(index["split"], index["group"], strict=True), strict=True))


def tiny(kind, root):
    TINY[kind](root, make=layouts.touch)
    return {"allow_missing": kind == "mvtec_ad"}


def moved(root, old, new):
    (root / new).parent.mkdir(parents=True, exist_ok=True)
    (root / old).rename(root / new)


@pytest.mark.parametrize("kind", ["classes", "mvtec_ad", "folder"])
def test_images_are_found_in_sub_directories(kind, tmp_path):
    changes = tiny(kind, tmp_path)
    before = found(kind, tmp_path, **changes)
    spec = layouts.spec(kind, tmp_path, **changes)
    task = datasets.tasks(spec)[0]
    image = datasets.support_images(spec, task)[0]
    watched = datasets.inputs(spec, task)
    deep = os.path.join(os.path.dirname(image), "camera 1/morning", os.path.basename(image))
    moved(tmp_path, image, deep)
    after = found(kind, tmp_path, **changes)
    assert len(after) == len(before) and after[deep] == before[image] and image not in after
    assert set(datasets.inputs(spec, task)) == {
        *watched,
        *(
            (tmp_path / os.path.dirname(deep[: deep.index(end) + len(end) + 1])).as_posix()
            for end in ("camera 1", "morning")
        ),
    }
    assert deep in datasets.support_images(spec, task)


@pytest.mark.parametrize("kind", TINY)
def test_patterns_choose_the_files_of_every_kind(kind, tmp_path):
    changes = tiny(kind, tmp_path)
    whole = found(kind, tmp_path, **changes)
    spec = layouts.spec(kind, tmp_path, **changes)
    image = datasets.support_images(spec, datasets.tasks(spec)[0])[0]
    for pattern in (image, f"**/{os.path.basename(image)}" if kind in ("cub", "flowers") else image):
        assert found(kind, tmp_path, exclude=[pattern], **changes) == {
            name: row for name, row in whole.items() if name != image
        }
    suffix = os.path.splitext(image)[1]
    assert found(kind, tmp_path, include=[f"*{suffix}"], **changes) == whole
    kept = found(kind, tmp_path, exclude=["*_copy.png", "old"], include=[os.path.dirname(image)], **changes)
    assert kept == {name: row for name, row in whole.items() if name.startswith(os.path.dirname(image))}


def test_excluded_directories_are_no_classes_and_not_watched(tmp_path):
    tiny("classes", tmp_path)
    layouts.touch(tmp_path / "train/old/1.png")
    layouts.touch(tmp_path / "train/red/old/1.png")
    spec = layouts.spec("classes", tmp_path, exclude=["old"])
    assert datasets.tasks(spec) == ["blue", "red"]
    assert not [path for path in datasets.inputs(spec) if "old" in path]
    assert not [image for image in datasets.support_images(spec, "red") if "old" in image]


@pytest.mark.parametrize(
    ("train", "test", "good", "bad"),
    [
        ("train/good", "test", "Good", "NOK"),
        ("train/OK", "test", "OK", "NOK"),
        ("train/ok", "test", "ok", "ko"),  # BTAD
        ("train/good", "test_public", "good", "bad"),  # MVTec-AD 2
        ("train/normal", "test", "normal", "anomaly"),
    ],
)
@pytest.mark.parametrize("kind", ["mvtec_ad", "folder"])
def test_normal_images_in_other_spellings(kind, tmp_path, train, test, good, bad):
    root = tmp_path / "01"
    for folder, count in ((train, 5), (f"{test}/{good}", 3), (f"{test}/{bad}", 2), (f"{test}/ground_truth/{bad}", 2)):
        for number in range(count):
            layouts.touch(root / folder / f"{number}.png")
    layouts.touch(root / "validation/good/0.png")
    layouts.touch(root / f"ground_truth/{bad}/0.png")
    at, prefix = (tmp_path, "01/") if kind == "mvtec_ad" else (root, "")
    spec = layouts.spec(kind, at, tasks=["01"])
    rows = found(kind, at, tasks=["01"])
    expected = [(f"{prefix}{train}/{n}.png", ("train", "good")) for n in range(5)]
    expected += [(f"{prefix}{test}/{good}/{n}.png", ("test", "good")) for n in range(3)]
    expected += [(f"{prefix}{test}/{bad}/{n}.png", ("test", bad)) for n in range(2)]
    assert rows == dict(expected)
    index = datasets.index(spec)
    chosen, groups, normal = datasets.real_validation(index, spec, "01")
    assert (len(chosen), normal, sorted(set(groups))) == (5, "good", sorted({"good", bad}))
    assert datasets.remarks(spec, index.image_id) == [
        f"images below the root are not used: 1 in {prefix}validation/good"
    ]


def test_good_is_the_normal_directory_where_it_is_and_names_can_be_given(tmp_path):
    for folder in ("train/good", "test/good", "test/ok", "test/fine", "train/fine"):
        layouts.touch(tmp_path / folder / "0.png")
    groups = {group for split, group in found("folder", tmp_path, normal_names=["good"]).values()}
    assert groups == {"good", "ok", "fine"}
    with pytest.raises(InputError, match=r"test/good' cannot be a defect type beside 'fine'.*normal_names"):
        found("folder", tmp_path, normal_names=["Fine"])
    moved(tmp_path, "test/good", "test/scratch")
    rows = found("folder", tmp_path, normal_names=["Fine"])
    assert rows["train/fine/0.png"] == ("train", "good") and rows["test/fine/0.png"] == ("test", "good")
    assert rows["test/scratch/0.png"] == ("test", "scratch") and rows["test/ok/0.png"] == ("test", "ok")


@pytest.mark.parametrize("kind", ["mvtec_ad", "folder"])
@pytest.mark.parametrize(("split", "other"), [("test", "OK"), ("test", "Good"), ("train", "Normal"), ("train", "GOOD")])
def test_a_second_directory_with_a_name_of_normal_images_is_no_defect_type(kind, split, other, tmp_path):
    for folder in ("train/good", "test/good", "test/hole", f"{split}/{other}"):
        layouts.touch(tmp_path / "part" / folder / "0.png")
    root = tmp_path if kind == "mvtec_ad" else tmp_path / "part"
    inside = f"{'part/' if kind == 'mvtec_ad' else ''}{split}/{other}"
    told = rf"part/{split}' has the directories 'good' and '{other}', .*: merge or rename .*exclude: \[{inside}\].*normal_names"
    with pytest.raises(InputError, match=told):
        found(kind, root, tasks=["part"])
    images = found(kind, root, tasks=["part"], exclude=[inside])
    assert {group for _, group in images.values()} == {"good", "hole"}
    moved(tmp_path / "part", f"{split}/{other}/0.png", f"{split}/good/1.png")
    assert len(found(kind, root, tasks=["part"])) == 4, "an empty directory is no matter"


def test_what_is_not_read_is_counted_in_one_line(tmp_path):
    tiny("classes", tmp_path)
    for name in ("a.heic", "b.HEIC", "c.raw", "notes.txt", "Thumbs.db"):
        layouts.touch(tmp_path / "train/red" / name)
    layouts.touch(tmp_path / "test/blue/d.raw")
    spec = layouts.spec("classes", tmp_path)
    ids = datasets.index(spec).image_id
    assert datasets.remarks(spec, ids) == ["files beside the images are not used: 2 .heic, 2 .raw"]
    spec |= {"exclude": ["*.raw", "*.heic", "*.HEIC"]}
    assert datasets.remarks(spec, ids) == []


@pytest.mark.parametrize("kind", [*TINY, "digits"])
def test_nothing_is_remarked_about_clean_data(kind, tmp_path):
    spec = layouts.spec("digits") if kind == "digits" else layouts.spec(kind, tmp_path, **tiny(kind, tmp_path))
    assert datasets.remarks(spec, datasets.index(spec).image_id) == []


def test_tables_of_birds_as_windows_leaves_them(tmp_path):
    layouts.cub(tmp_path, make=layouts.touch)
    before = found("cub", tmp_path)
    for table in tmp_path.glob("*.txt"):
        text = table.read_text().replace("/", "\\").replace("\n", "\r\n")
        table.write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\f\r\n")
    assert found("cub", tmp_path) == before and datasets.tasks(layouts.spec("cub", tmp_path)) == [
        "001.Black_footed_Albatross",
        "002.Laysan_Albatross",
    ]


def test_tables_of_visa_as_windows_and_hands_leave_them(tmp_path):
    layouts.visa(tmp_path, make=layouts.touch)
    before = found("visa", tmp_path)
    assert any("," in group for _, group in before.values()), "a label with a comma, which the layout writes in quotes"
    for table in tmp_path.rglob("*.csv"):
        text = table.read_text().replace('"', "")
        lines = [",".join(part.replace("/", "\\") for part in line.split(",")) for line in text.splitlines()]
        table.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*lines, ""]).encode())
    assert found("visa", tmp_path) == before


def test_lines_of_visa_that_do_not_fit_the_header_are_named(tmp_path):
    layouts.visa(tmp_path, make=layouts.touch)
    table = tmp_path / "split_csv/1cls.csv"
    lines = table.read_text().splitlines()
    for wrong in (lines[2] + ",more", lines[2].split(",")[0]):
        table.write_text("\n".join([*lines[:2], wrong, *lines[3:]]))
        with pytest.raises(InputError, match=rf"1cls\.csv: line 3 has {wrong.count(',') + 1} columns; expected the "):
            datasets.tasks(layouts.spec("visa", tmp_path))


@pytest.mark.parametrize("end", ["melt,hole", "melt,hole,crack"])
def test_a_label_of_visa_with_commas_and_without_a_mask_is_not_cut(end, tmp_path):
    layouts.visa(tmp_path, make=layouts.touch)
    before = found("visa", tmp_path)
    table = tmp_path / "candle/image_anno.csv"
    text = table.read_text()
    line = text.splitlines().index('candle/Data/Images/Anomaly/001.JPG,"melt,hole",') + 1
    table.write_text(text.replace('"melt,hole",', end))
    told = rf"image_anno\.csv: line {line} has '{end.split(',')[-1]}' in the column mask; .*: end the line with a comma"
    with pytest.raises(InputError, match=told):
        found("visa", tmp_path)
    table.write_text(text.replace('"melt,hole",', "melt,hole,candle/Data/Masks/Anomaly/001.PNG"))
    assert found("visa", tmp_path) == before


@pytest.mark.parametrize("kind", TINY)
def test_how_a_data_set_is_read_travels_with_its_paths(kind, tmp_path):
    changes = tiny(kind, tmp_path)
    plain = datasets.index(layouts.spec(kind, tmp_path, **changes))
    assert plain["path"].tolist() == [(tmp_path / image).as_posix() for image in plain["image_id"]]
    for keys, reading in (
        ({"bit_depth": 10}, Reading(bits=10)),
        ({"value_range": [0.0, 0.5]}, Reading(value_range=(0.0, 0.5))),
        ({"max_pixels": 10**9}, Reading(max_pixels=10**9)),
    ):
        index = datasets.index(layouts.spec(kind, tmp_path, **changes, **keys))
        assert index["image_id"].equals(plain["image_id"])
        assert [parse(path) for path in index["path"]] == [(path, reading) for path in plain["path"]]


def test_support_and_index_read_alike(tmp_path):
    """Both tables of a data set of 10 bits give the same pixels."""
    for split in ("train", "test"):
        for name in ("red", "blue"):
            for number in range(4):
                path = tmp_path / split / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.full((4, 4), 1023 - 4 * number, np.uint16)).save(path)
    spec = layouts.spec("classes", tmp_path, bit_depth=10)
    index = datasets.index(spec).set_index("image_id")["path"]
    for image_id, path in datasets.paths(spec, datasets.support_images(spec, "red")).items():
        assert path == index[image_id] and read_image(path)[0, 0, 0] == 255 - int(image_id[-5])


@pytest.mark.parametrize(("bits", "depth"), [(3, 8), (8, 8), (9, 10), (10, 10), (11, 12), (12, 12), (13, 14), (14, 14)])
def test_a_depth_that_would_be_read_as_black_names_the_key(bits, depth):
    with pytest.raises(
        InputError, match=rf"at most {bits} bits, .*datasets\.mine\.bit_depth .* probably {depth}, or to 16"
    ):
        check_depth([bits], "mine", "of task 'red'")


@pytest.mark.parametrize("bits", [0, 15, 16])
def test_eight_bits_and_all_of_sixteen_are_read_as_they_are(bits):
    assert check_depth([bits], "mine", "of task 'red'") is None


@pytest.mark.parametrize(
    ("bits", "refused"),
    [([10, 16, 10, 0, 0], True), ([16, 16, 10, 7], False), ([0, 0], False), ([], False), ([10, 0, 0, 0], True)],
)
def test_the_median_of_the_16_bit_images_decides(bits, refused):
    if refused:
        with pytest.raises(InputError, match=r"datasets\.mine\.bit_depth .* probably 10"):
            check_depth(bits, "mine", "of task 'red'")
    else:
        check_depth(bits, "mine", "of task 'red'")


def noise(path, bits, hot=()):
    """A file of (40, 40) uint16 that uses `bits` bits, or of uint8; the pixels `hot` are 65535."""
    values = np.random.default_rng(0).integers(0, 2**bits, (40, 40)).astype(np.uint8 if bits == 8 else np.uint16)
    for pixel in hot:
        values.flat[pixel] = 65535
    Image.fromarray(values).save(path)
    return str(path)


def test_test_images_of_ten_bits_beside_training_images_of_eight_are_refused_with_the_key(tmp_path):
    """A damaged file beside them is passed over, as is one with a hot pixel."""
    eight = [noise(tmp_path / f"eight{number}.png", 8) for number in range(3)]
    ten = [noise(tmp_path / f"ten{number}.png", 10, hot=range(number % 2)) for number in range(3)]
    (tmp_path / "bad.png").write_bytes(b"no image")
    paths = {"train": eight, "test": [*eight, str(tmp_path / "bad.png"), *ten]}
    with pytest.raises(
        InputError, match=r"16-bit images of the test images .* 10 bits, .*datasets\.mine\.bit_depth to"
    ):
        check_splits(paths, "mine")
    for reading in (Reading(bits=10), Reading(bits=16), Reading(value_range=(0, 1023))):
        check_splits({split: [address(path, reading) for path in found] for split, found in paths.items()}, "mine")


def test_images_that_use_their_sixteen_bits_pass(tmp_path):
    check_splits({"train": [noise(tmp_path / "a.png", 8)], "test": [noise(tmp_path / "b.png", 16)] * 3}, "mine")
    check_splits({"train": ["digits:0"], "test": ["procedural:0:0", str(tmp_path / "gone.png")]}, "mine")


def test_keys_that_came_later_change_nothing_at_their_defaults():
    fields = Dataset.model_fields
    assert {name: fields[name].default for name in LATER if name in fields} == {
        name: value for name, value in LATER.items() if name != "normal_names"
    }
    for kind in datasets.KINDS.values():
        if "normal_names" in kind.section.model_fields:
            assert kind.section.model_fields["normal_names"].default == LATER["normal_names"]


def several_sensors(root):
    """A product as MVTec 3D-AD keeps it: directories of sensors below train/good, test/good and each defect type."""
    for folder, sensors in {
        "train/good": ("rgb", "xyz"),
        "test/good": ("rgb", "xyz", "gt"),
        "test/hole": ("rgb", "xyz", "gt"),
    }.items():
        for sensor in sensors:
            for number in range(5):
                layouts.touch(root / folder / sensor / f"{number:03d}.{'tiff' if sensor == 'xyz' else 'png'}")
    return root


@pytest.mark.parametrize("kind", ["mvtec_ad", "folder"])
def test_coordinates_and_masks_beside_camera_images_are_not_taken(kind, tmp_path):
    root = tmp_path if kind == "mvtec_ad" else tmp_path / "bagel"
    several_sensors(tmp_path / "bagel")
    tasks = {"tasks": ["bagel"]}
    with pytest.raises(InputError, match=r"has the directories rgb and .*xyz beside each other.*include: \[rgb\]"):
        found(kind, root, **tasks)
    images = found(kind, root, include=["rgb"], **tasks)
    assert len(images) == 15 and all("/rgb/" in image for image in images)
    assert {group for _, group in images.values()} == {"good", "hole"}
    assert found(kind, root, exclude=["xyz", "gt"], **tasks) == images


def test_a_sensor_named_as_normal_directory_does_not_make_the_others_defects(tmp_path):
    for sensor in ("rgb", "xyz"):
        for number in range(5):
            layouts.touch(tmp_path / sensor / f"{number}.png")
    with pytest.raises(InputError, match=r"rgb and xyz beside each other"):
        found("folder", tmp_path, normal="rgb", train=3)


def test_one_sensor_alone_is_a_directory_like_any_other(tmp_path):
    layouts.split_folder(tmp_path, defects={"gt": 2, "depth": 2}, make=layouts.touch)
    assert {group for _, group in found("folder", tmp_path).values()} == {"good", "gt", "depth"}
