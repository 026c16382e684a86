"""Data sets: the official splits, listings, what is missing, and the real test of each task."""

import csv
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import layouts
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swsa_core import datasets
from swsa_core.anomalies import procedural, tiny_imagenet
from swsa_core.basics.errors import InputError
from swsa_core.basics.names import SLUG, unique_slugs
from swsa_core.datasets import flowers
from swsa_core.files.images import read_image

DATA = layouts.SHARED / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the folder ../shared/data with real images is absent")

TINY = {  # kind: (maker of a data set of 6 train images a task, further spec)
    "cub": (layouts.cub, {}),
    "flowers": (layouts.flowers, {}),
    "mvtec_ad": (layouts.mvtec_ad, {"tasks": ["bottle", "metal_nut"]}),
    "visa": (layouts.visa, {}),
    "classes": (layouts.classes, {}),
    "folder": (lambda root: layouts.split_folder(root, defects={"scratch": 2}), {}),
}


@pytest.fixture(params=TINY)
def tiny(request, tmp_path):
    """Spec of a tiny data set of each kind."""
    make, changes = TINY[request.param]
    return layouts.spec(request.param, make(tmp_path / "data set"), **changes)


def counts(index, column="split"):
    return Counter(index[column])


# Every kind


def test_index_support_and_paths_agree(tiny):
    index, tasks = datasets.index(tiny), datasets.tasks(tiny)
    assert list(index.columns) == datasets.INDEX.columns and index["image_id"].is_unique and len(index)
    for task in tasks:
        train = index[(index["class"] == task) & (index["split"] == "train")]
        assert train["image_id"].tolist() == datasets.support_images(tiny, task)
        assert len(train) == 6
    paths = datasets.paths(tiny, index["image_id"])
    assert list(paths.values()) == index["path"].tolist()
    assert all(read_image(path).shape == (32, 40, 3) for path in index["path"])


def test_the_size_of_each_support_is_that_of_its_images(tiny):
    for spec in (tiny, {**tiny, "tasks": datasets.tasks(tiny)[-1:]}, {**tiny, "allow_missing": True}):
        sizes = datasets.support_sizes(spec)
        assert list(sizes) == datasets.tasks(spec)
        assert sizes == {task: len(datasets.support_images(spec, task)) for task in sizes}


def test_no_image_is_opened(tiny, monkeypatch):
    monkeypatch.setattr("PIL.Image.open", None)
    datasets.index(tiny)


def test_the_real_test_has_the_task_against_other_groups(tiny):
    index = datasets.index(tiny)
    for task in datasets.tasks(tiny):
        rows, groups, normal = datasets.real_validation(index, tiny, task)
        assert len(rows) == len(groups) and normal in groups and len(set(groups)) > 1
        assert (index["split"].to_numpy()[rows] == "test").all()
        assert groups.tolist() == index["group"].to_numpy()[rows].tolist()
        if datasets.kind_of(tiny).anomalies == "defects":
            assert normal == "good" and (index["class"].to_numpy()[rows] == task).all()
        else:
            assert normal == task and len(rows) == (index["split"] == "test").sum()


def test_tasks_can_be_chosen_and_a_typo_gets_near_matches(tiny):
    every = datasets.tasks(tiny)
    index = datasets.index({**tiny, "tasks": every[-1:]})
    assert set(index["class"][index["split"] == "train"]) == {every[-1]}
    if datasets.kind_of(tiny).anomalies == "classes":
        assert set(index["class"]) == set(every)  # the others stay as anomalies
    with pytest.raises(InputError, match=f"{every[0]}x.*did you mean"):
        datasets.tasks({**tiny, "tasks": [every[0] + "x"]})


def test_inputs_exist_and_hold_every_image_of_the_support(tiny):
    tables = {"images.txt", "classes.txt", "image_class_labels.txt", "train_test_split.txt"}
    tables |= {"setid.mat", "imagelabels.mat", "1cls.csv", "image_anno.csv"}
    index = datasets.index(tiny)
    for task in [None, *datasets.tasks(tiny)]:
        inputs = [Path(path) for path in datasets.inputs(tiny, task)]
        ids = index["image_id"] if task is None else datasets.support_images(tiny, task)
        images = {Path(path) for path in datasets.paths(tiny, ids).values()}
        assert all(path.is_dir() or path.name in tables for path in inputs) and len(inputs) == len(set(inputs))
        assert {path.parent for path in images} == {path for path in inputs if path.is_dir()}


def test_a_root_of_another_kind_is_refused_with_the_layout(tmp_path):
    for kind in datasets.KINDS.keys() - {"digits"}:
        with pytest.raises(InputError, match=r"nowhere.*not a directory; expected"):
            datasets.tasks(layouts.spec(kind, tmp_path / "nowhere"))
        (tmp_path / kind).mkdir()
        with pytest.raises(InputError, match=rf"root .*{kind}'|no images"):
            datasets.tasks(layouts.spec(kind, tmp_path / kind))
    with pytest.raises(InputError, match="did you mean 'flowers'"):
        datasets.tasks(layouts.spec("flower", tmp_path))


@pytest.mark.parametrize("kind", ["cub", "flowers", "visa"])
def test_named_images_that_are_missing_are_counted(kind, tmp_path):
    make, changes = TINY[kind]
    spec = layouts.spec(kind, make(tmp_path), **changes)
    task = datasets.tasks(spec)[0]
    gone = datasets.support_images(spec, task)[1:4]
    for image_id in gone:
        (tmp_path / image_id).unlink()
    for function in (datasets.support_sizes, datasets.index, lambda spec: datasets.support_images(spec, task)):
        with pytest.raises(InputError, match=f"3 images that are not on disk, the first is '{gone[0]}'.*allow_missing"):
            function(spec)
    lenient = {**spec, "allow_missing": True}
    assert datasets.tasks(lenient) == datasets.tasks({**lenient, "tasks": "all"})
    assert task not in datasets.tasks(lenient), "3 images are left, 4 seeds are needed"
    assert datasets.tasks({**lenient, "tasks": [task]}) == [task], "a task named in the config stays"
    assert not set(gone) & set(datasets.index(lenient)["image_id"])
    with pytest.raises(InputError, match=r"no class .* has 60 train images.*the most are 6"):
        datasets.tasks({**lenient, "support": {"seeds": 60}})


def test_hidden_and_other_files_are_no_images(tmp_path):
    root = layouts.classes(tmp_path)
    before = datasets.index(layouts.spec("classes", root))["image_id"].tolist()
    for name in [".hidden.png", "._0.png", "Thumbs.db", "notes.txt", "png"]:
        layouts.touch(root / "train/red" / name)
    layouts.touch(root / "train/red/folder.png/notes.txt")
    for system in (".git", "__MACOSX", "@eaDir", "lost+found"):
        layouts.touch(root / "train" / system / "0.png")
        layouts.touch(root / "train/red" / system / "0.png")
    assert datasets.index(layouts.spec("classes", root))["image_id"].tolist() == before
    for suffix in ["JPG", "jpeg", "Png", "BMP", "tif", "TIFF", "webp"]:
        layouts.touch(root / f"train/red/new.{suffix}")
    assert len(datasets.support_images(layouts.spec("classes", root), "red")) == 6 + 7


NASTY = [
    "a b",
    "it's",
    'say "x"',
    "[brackets]",
    "{braces}",
    "a,b",
    "größe",
    "花",
    "100%",
    "a-b",
    "~",
    "*",
    "$HOME",
    "# no",
]


def test_nasty_names_round_trip_through_the_index(tmp_path):
    root = layouts.classes(tmp_path / "d'a t[a]", NASTY, 2, 1)
    spec = layouts.spec("classes", root)
    index = datasets.index(spec)
    index.to_csv(tmp_path / "images.csv", index=False)
    with open(tmp_path / "images.csv", encoding="utf-8", newline="") as file:
        read = np.array(list(csv.reader(file)))[1:]
    assert read.tolist() == index.to_numpy().tolist()
    assert datasets.tasks(spec) == sorted(NASTY) == sorted(set(index["class"]))
    assert all(read_image(path).shape == (32, 40, 3) for path in read[:, 1])


@settings(max_examples=25, deadline=None)
@given(
    st.sets(
        st.text(
            st.characters(exclude_characters="/", exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp"]),
            min_size=1,
            max_size=12,
        ).filter(lambda name: not name.startswith(".")),
        min_size=2,
        max_size=5,
    )
)
def test_any_directory_name_is_a_task_with_a_path_of_its_own(tmp_path_factory, names):
    root = layouts.classes(tmp_path_factory.mktemp("any"), names, 1, 1, make=layouts.touch)
    spec = layouts.spec("classes", root)
    slugs = unique_slugs(datasets.tasks(spec))
    assert set(slugs.values()) == names and all(re.fullmatch(SLUG, slug) for slug in slugs)
    assert len({slug.lower() for slug in slugs}) == len(names)
    assert all(datasets.support_images(spec, name) == [f"train/{name}/0.png"] for name in names)


# The official splits, complete


def stub(root, image_ids):
    """An empty file for each image id."""
    for folder in {os.path.dirname(image_id) for image_id in image_ids}:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for image_id in image_ids:
        (root / image_id).touch()


def link_tables(root, source, names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(source / name)


@needs_data
def test_cub_has_its_official_split(tmp_path):
    source = DATA / "CUB_200_2011"
    link_tables(tmp_path, source, ["images.txt", "classes.txt", "image_class_labels.txt", "train_test_split.txt"])
    stub(tmp_path, ["images/" + line.split()[1] for line in (source / "images.txt").read_text().splitlines()])
    spec = layouts.spec("cub", tmp_path, seeds=20)
    tasks, index = datasets.tasks(spec), datasets.index(spec)
    assert len(tasks) == 200 and tasks[0] == "001.Black_footed_Albatross" and tasks[-1] == "200.Common_Yellowthroat"
    assert counts(index) == {"train": 5994, "test": 5794}
    assert len(set(index["class"])) == 200 and (index["group"] == index["class"]).all()
    train = counts(index[index["split"] == "train"], "class")
    assert min(train.values()) == 29 and max(train.values()) == 30
    assert all(
        image_id.split("/")[1] == label for image_id, label in zip(index["image_id"], index["class"], strict=True)
    )


@needs_data
def test_flowers_has_its_official_split(tmp_path):
    link_tables(tmp_path, DATA / "flowers102", ["setid.mat", "imagelabels.mat"])
    stub(tmp_path, [f"jpg/image_{number:05d}.jpg" for number in range(1, 8190)])
    for real_split, images in [("test", 6149), ("val", 1020)]:
        spec = layouts.spec("flowers", tmp_path, real_split=real_split)
        index = datasets.index(spec)
        assert counts(index) == {"train": 1020, "test": images} and index["image_id"].is_unique
        assert set(counts(index[index["split"] == "train"], "class").values()) == {10}
        assert datasets.tasks(spec) == flowers.names_by_label()


@needs_data
def test_flowers_rows_are_the_files_of_the_official_labels():
    """The labels beside the real subset were written down independently of setid.mat's order."""
    with open(DATA / "flowers102/subset_index.csv") as file:
        lines = list(csv.DictReader(file))
    index = datasets.index(layouts.spec("flowers", DATA / "flowers102", allow_missing=True, seeds=10))
    found = set(index[["image_id", "class", "split"]].itertuples(index=False, name=None))
    names = flowers.names_by_label()
    expected = {
        (
            f"jpg/image_{int(line['image_id']):05d}.jpg",
            names[int(line["official_label_1based"]) - 1],
            line["official_split"],
        )
        for line in lines
    }
    assert found == {row for row in expected if row[2] in ("train", "test")}


def test_damaged_flower_tables_are_named(tmp_path):
    spec = layouts.spec("flowers", layouts.flowers(tmp_path, make=layouts.touch))
    for table in ("setid.mat", "imagelabels.mat"):
        content = (tmp_path / table).read_bytes()
        for damaged in (b"", b"This is no table.", content[:200], content[:-20]):
            (tmp_path / table).write_bytes(damaged)
            with pytest.raises(InputError, match=r"setid\.mat or imagelabels\.mat .* is not the official file"):
                datasets.tasks(spec)
        (tmp_path / table).write_bytes(content)
    (tmp_path / "imagelabels.mat").write_bytes(
        layouts.flowers(tmp_path / "b", [1]).joinpath("imagelabels.mat").read_bytes()
    )
    with pytest.raises(InputError, match="image 36 has no label"):
        datasets.tasks(spec)


def test_damaged_bird_tables_are_named(tmp_path):
    spec = layouts.spec("cub", layouts.cub(tmp_path, make=layouts.touch))
    table = tmp_path / "train_test_split.txt"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:-1]))
    with pytest.raises(InputError, match="do not agree in their ids"):
        datasets.support_sizes(spec)
    table.write_text("\n".join([*lines[:-1], "20"]))
    with pytest.raises(InputError, match=r"train_test_split\.txt: entry 20 is '20'; expected two columns"):
        datasets.support_sizes(spec)


def test_flower_names_are_torchvisions():
    from torchvision.datasets import Flowers102

    assert flowers.names_by_label() == list(Flowers102.classes)


@pytest.fixture(scope="module")
def visa(tmp_path_factory):
    """VisA's official split table over empty files; defect types made up in turn, some of them joined by commas."""
    root = tmp_path_factory.mktemp("visa")
    link_tables(root, DATA / "visa", ["split_csv/1cls.csv"])
    with open(root / "split_csv/1cls.csv") as file:
        lines = list(csv.DictReader(file))
    stub(root, [line["image"] for line in lines])
    for product in {line["object"] for line in lines}:
        own = [line for line in lines if line["object"] == product]
        kinds = ["chip", "dent, hole", "hole", "hole,chip"]
        rows = [
            [line["image"], "normal" if line["label"] == "normal" else kinds[number % 4], line["mask"]]
            for number, line in enumerate(own)
        ]
        layouts.write_csv(root / product / "image_anno.csv", ["image", "label", "mask"], rows)
    return root


@needs_data
def test_visa_has_its_official_split(visa):
    spec = layouts.spec("visa", visa, seeds=20)
    index = datasets.index(spec)
    assert len(index) == 10821 and datasets.tasks(spec)[:3] == ["candle", "capsules", "cashew"]
    table = Counter(zip(index["class"], index["split"], index["group"] == "good", strict=True))
    normals = {
        "candle": (900, 100), "capsules": (542, 60), "cashew": (450, 50), "chewinggum": (453, 50),
        "fryum": (450, 50), "macaroni1": (900, 100), "macaroni2": (900, 100), "pcb1": (904, 100),
        "pcb2": (901, 100), "pcb3": (905, 101), "pcb4": (904, 101), "pipe_fryum": (450, 50),
    }  # fmt: skip
    for product, (train, good) in normals.items():
        assert table[product, "train", True] == train and table[product, "test", True] == good
        assert table[product, "test", False] == 100 and table[product, "train", False] == 0


@needs_data
def test_visa_groups_are_exact_labels_or_atomic_types(visa):
    spec = layouts.spec("visa", visa, tasks=["pcb1"])
    index = datasets.index(spec)
    rows, groups, normal = datasets.real_validation(index, spec, "pcb1")
    exact = Counter(groups)
    assert len(rows) == len(set(rows)) == 200 and normal == "good"
    assert exact == {"good": 100, "chip": 25, "dent, hole": 25, "hole": 25, "hole,chip": 25}
    rows, groups, _ = datasets.real_validation(index, {**spec, "groups": "atomic"}, "pcb1")
    assert Counter(groups) == {"good": 100, "chip": 50, "dent": 25, "hole": 75}
    assert len(rows) == 250 and len(set(rows)) == 200
    rows, groups, _ = datasets.real_validation(index, {**spec, "min_group_size": 101}, "pcb1")
    assert Counter(groups) == exact, "small groups stay: they count in one-vs-rest"


def test_visa_tables_must_agree(tmp_path):
    spec = layouts.spec("visa", layouts.visa(tmp_path))
    table = tmp_path / "pcb1/image_anno.csv"
    content = table.read_text()
    for written, instead, sentence in (
        ("bent", "normal", r"pcb1/image_anno\.csv has no defect type for .*000\.JPG"),
        ("label", "class", r"image_anno\.csv lacks the columns \['label'\]"),
        ("label,mask", "label,label", r"image_anno\.csv names a column twice"),
    ):
        table.write_text(content.replace(written, instead, 1))
        with pytest.raises(InputError, match=sentence):
            datasets.index(spec)
    table.unlink()
    with pytest.raises(InputError, match=r"lacks pcb1/image_anno\.csv"):
        datasets.index(spec)


@needs_data
def test_mvtec_ad_has_its_official_counts(tmp_path):
    with open(DATA / "mvtec_ad/mvtec_counts.csv") as file:
        lines = list(csv.DictReader(file))
    for line in lines:
        folder = f"{line['category']}/{line['split']}/{line['defect_type']}"
        stub(tmp_path, [f"{folder}/{number:03d}.png" for number in range(int(line["count"]))])
        stub(tmp_path, [f"{line['category']}/ground_truth/hole/000_mask.png"])
    spec = layouts.spec("mvtec_ad", tmp_path, seeds=20)
    index = datasets.index(spec)
    expected = {(line["category"], line["split"], line["defect_type"]): int(line["count"]) for line in lines}
    assert Counter(zip(index["class"], index["split"], index["group"], strict=True)) == expected
    assert counts(index) == {"train": 3629, "test": 1725} and len(datasets.tasks(spec)) == 15


@needs_data
def test_real_subsets_need_allow_missing_and_then_give_their_classes():
    cub = layouts.spec("cub", DATA / "CUB_200_2011", seeds=20)
    with pytest.raises(InputError, match=r"11245 images .* the first is 'images/011\.Rusty_Blackbird/"):
        datasets.support_sizes(cub)
    assert [name[:3] for name in datasets.tasks({**cub, "allow_missing": True})] == [f"{n:03d}" for n in range(1, 11)]
    index = datasets.index({**cub, "allow_missing": True})
    assert counts(index) == {"train": 300, "test": 243}

    flower = layouts.spec("flowers", DATA / "flowers102", seeds=10)
    with pytest.raises(InputError, match="images that are not on disk"):
        datasets.support_sizes(flower)
    assert len(datasets.tasks({**flower, "allow_missing": True})) == 16
    assert counts(datasets.index({**flower, "allow_missing": True})) == {"train": 160, "test": 320}
    assert counts(datasets.index({**flower, "allow_missing": True, "real_split": "val"})) == {"train": 160, "test": 80}

    mvtec = layouts.spec("mvtec_ad", DATA / "mvtec_ad", seeds=20)
    with pytest.raises(InputError, match="lacks 28 directories of its 15 products, first 'cable/train/good'"):
        datasets.tasks(mvtec)
    assert datasets.tasks({**mvtec, "allow_missing": True}) == ["bottle"]
    bottle = {**mvtec, "tasks": ["bottle"]}
    assert counts(datasets.index(bottle), "group") == {
        "good": 80, "broken_large": 20, "broken_small": 22, "contamination": 21,
    }  # fmt: skip
    with pytest.raises(InputError, match="'cable' has no train images"):
        datasets.tasks({**mvtec, "allow_missing": True, "tasks": ["cable"]})


# Kinds without official files


def test_products_beside_the_official_ones_are_tasks_too(tmp_path):
    layouts.mvtec_ad(tmp_path, ["bottle", "gear"], make=layouts.touch)
    assert datasets.tasks(layouts.spec("mvtec_ad", tmp_path, allow_missing=True)) == ["bottle", "gear"]
    assert datasets.tasks(layouts.spec("mvtec_ad", tmp_path, tasks=["gear"])) == ["gear"]


def test_classes_without_test_images_need_allow_missing(tmp_path):
    layouts.classes(tmp_path, make=layouts.touch)
    layouts.classes(tmp_path, ["green"], test=0, make=layouts.touch)
    layouts.classes(tmp_path, ["other"], train=0, make=layouts.touch)
    spec = layouts.spec("classes", tmp_path)
    with pytest.raises(InputError, match="lacks 1 of 3 test directories, the first is 'test/green'"):
        datasets.tasks(spec)
    lenient = {**spec, "allow_missing": True}
    index = datasets.index(lenient)
    assert datasets.tasks(lenient) == ["blue", "green", "red"]
    assert Counter(datasets.real_validation(index, lenient, "red")[1]) == {"blue": 4, "other": 4, "red": 4}
    assert len(datasets.real_validation(index, lenient, "green")[0]) == 0


def test_digits_are_divided_in_file_order():
    from sklearn.datasets import load_digits

    spec = layouts.spec("digits")
    assert datasets.tasks(spec) == list("0123456789") and datasets.inputs(spec) == datasets.inputs(spec, "3") == []
    index = datasets.index({**spec, "tasks": ["3", "8"]})
    target = load_digits().target
    assert counts(index) == {"train": 60, "test": 1797 - 300}
    assert datasets.support_sizes({**spec, "tasks": ["3", "8"]}) == {"3": 30, "8": 30}
    assert datasets.support_images(spec, "3") == [f"digits:{row}" for row in np.flatnonzero(target == 3)[:30]]
    assert all(str(target[int(row.image_id[7:])]) == row.group for row in index.itertuples())
    assert (index["path"] == index["image_id"]).all()
    assert set(datasets.real_validation(index, spec, "3")[1]) == set("0123456789")


# Folders


def test_a_file_name_that_is_not_utf8_is_refused(tmp_path):
    layouts.flat_folder(tmp_path, make=layouts.touch)
    with open(os.fsencode(tmp_path) + b"/bad\xff.png", "wb"):
        pass
    with pytest.raises(InputError, match=r"bad.*is not a UTF-8 name: rename it"):
        datasets.tasks(layouts.spec("folder", tmp_path))


def test_a_flat_folder_has_one_task_and_no_real_test(tmp_path):
    spec = layouts.spec("folder", layouts.flat_folder(tmp_path / "my parts", make=layouts.touch))
    index = datasets.index(spec)
    assert datasets.tasks(spec) == ["my parts"] and counts(index) == {"train": 8}
    assert datasets.inputs(spec) == datasets.inputs(spec, "my parts") == [str(tmp_path / "my parts")]
    rows, groups, normal = datasets.real_validation(index, spec, "my parts")
    assert len(rows) == len(groups) == 0 and normal == "good"


def test_a_split_folder_is_searched_in_all_its_directories(tmp_path):
    root = layouts.split_folder(tmp_path / "parts", defects={"big scratch": 2}, make=layouts.touch)
    layouts.touch(root / "train/good/monday/early/0.PNG")
    layouts.touch(root / "ground_truth/big scratch/0.png")
    spec = layouts.spec("folder", root)
    index = datasets.index(spec)
    assert Counter(zip(index["split"], index["group"], strict=True)) == {
        ("train", "good"): 7, ("test", "good"): 3, ("test", "big scratch"): 2,
    }  # fmt: skip
    assert str(root / "train/good/monday/early") in datasets.inputs(spec, "parts")
    assert str(root / "test/big scratch") not in datasets.inputs(spec, "parts")
    assert str(root / "test/big scratch") in datasets.inputs(spec)
    with pytest.raises(InputError, match=r"train: 3 .*has train/good: remove it"):
        datasets.tasks({**spec, "train": 3})


def tree(root):
    layouts.flat_folder(root / "data/ok/a", 5, make=layouts.touch)
    layouts.flat_folder(root / "data/ok/b", 5, make=layouts.touch)
    layouts.flat_folder(root / "data/worn out/deep", 3, make=layouts.touch)
    (root / "data/notes").mkdir()
    return root


def test_a_tree_draws_its_train_normals_by_seed_and_names(tmp_path):
    spec = layouts.spec("folder", tree(tmp_path / "parts"), normal="data/ok", train=6)
    index = datasets.index(spec, seed=1, dataset="mine")
    drawn = datasets.support_images(spec, "parts", seed=1, dataset="mine")
    assert Counter(zip(index["split"], index["group"], strict=True)) == {
        ("train", "good"): 6, ("test", "good"): 4, ("test", "worn out"): 3,
    }  # fmt: skip
    assert datasets.support_sizes(spec) == {"parts": 6}
    assert drawn == index["image_id"][index["split"] == "train"].tolist() == sorted(drawn)
    assert drawn != datasets.support_images(spec, "parts", seed=2, dataset="mine")
    assert drawn != datasets.support_images(spec, "parts", seed=1, dataset="other")
    assert Counter(datasets.real_validation(index, spec, "parts")[1]) == {"good": 4, "worn out": 3}
    assert len(datasets.real_validation(datasets.index({**spec, "train": 10}), spec, "parts")[0]) == 0


def test_a_folder_that_is_not_understood_says_how_it_should_look(tmp_path):
    root = tree(tmp_path / "parts")
    for changes, message in [
        ({}, r"images in the sub-directories \['data'\]; expected a flat folder .*`normal: <one of them>`"),
        ({"normal": "data/okay"}, "lacks data/okay"),
        ({"normal": "."}, "not a sub-directory"),
        ({"normal": "../parts/data/ok"}, "not a sub-directory"),
        ({"normal": "data/ok"}, r"defect types \['worn out'\]: set train: <count>"),
        ({"normal": "data/ok", "train": 11}, "train: 11 normal images were asked for, .* has 10"),
        ({"normal": "data/notes", "train": 1}, "no images"),
    ]:
        with pytest.raises(InputError, match=message):
            datasets.tasks(layouts.spec("folder", root, **changes))
    layouts.touch(root / "data/good/0.png")
    with pytest.raises(InputError, match=r"'good' beside .* cannot be a defect type"):
        datasets.tasks(layouts.spec("folder", root, normal="data/ok", train=5))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty' has no images .*expected a flat folder .*train/good.*normal:"):
        datasets.tasks(layouts.spec("folder", tmp_path / "empty"))


def test_a_link_back_to_a_parent_does_not_repeat_images(tmp_path):
    root = layouts.split_folder(tmp_path / "parts", make=layouts.touch)
    (root / "train/good/again").symlink_to(root / "train/good", target_is_directory=True)
    assert len(datasets.index(layouts.spec("folder", root))) == 6 + 3


# Pools


def test_the_pool_is_drawn_once_from_the_seed(tmp_path):
    root = layouts.tiny_imagenet(tmp_path)
    spec = {"root": str(root), "pool": 6, "allow_missing": False}
    pool = tiny_imagenet.pool(spec, seed=0)
    assert pool["image_id"].is_unique and pool["image_id"].is_monotonic_increasing and len(pool) == 6
    assert pool.equals(tiny_imagenet.pool(spec, seed=0)) and not pool.equals(tiny_imagenet.pool(spec, seed=1))
    assert all(read_image(path).shape == (32, 40, 3) for path in pool["path"])
    inputs = [Path(path) for path in tiny_imagenet.inputs(spec)]
    assert all(path.exists() for path in inputs) and {Path(path).parent for path in pool["path"]} <= set(inputs)
    with pytest.raises(InputError, match="has 10 train images, pool: 11"):
        tiny_imagenet.pool({**spec, "pool": 11}, seed=0)
    assert len(tiny_imagenet.pool({**spec, "pool": 11, "allow_missing": True}, seed=0)) == 10
    with pytest.raises(InputError, match="nowhere"):
        tiny_imagenet.pool({**spec, "root": str(tmp_path / "nowhere")}, seed=0)


@needs_data
def test_the_pool_of_the_real_subset():
    spec = {"root": str(DATA / "tiny-imagenet-200"), "pool": 2000, "allow_missing": True}
    pool = tiny_imagenet.pool(spec, seed=0)
    assert len(pool) == 300 and len(tiny_imagenet.inputs(spec)) == 1 + 25
    assert all(read_image(path).shape == (64, 64, 3) for path in pool["path"])
    with pytest.raises(InputError, match="names 175 classes that are not on disk"):
        tiny_imagenet.pool({**spec, "allow_missing": False}, seed=0)


def test_the_procedural_pool_goes_by_its_own_name():
    pool = procedural.pool({"pool": 3}, seed=7)
    assert pool["image_id"].tolist() == pool["path"].tolist() == [f"procedural:7:{row}" for row in range(3)]
    assert procedural.inputs({"pool": 3}) == []


# Names, speed


@pytest.mark.parametrize(
    ("kind", "name", "cleaned"),
    [
        ("cub", "001.Black_footed_Albatross", "Black footed Albatross"),
        ("cub", "113.Baird_Sparrow", "Baird Sparrow"),
        ("flowers", "colt's foot", "colt's foot"),
        ("flowers", "pink-yellow dahlia?", "pink-yellow dahlia"),
        ("mvtec_ad", "metal_nut", "metal nut"),
        ("visa", "pcb4", "printed circuit board"),
        ("visa", "macaroni2", "macaroni"),
        ("visa", "pipe_fryum", "pipe fryum"),
        ("classes", "type_2", "type 2"),
        ("folder", "my_parts", "my parts"),
        ("visa", "PCB1", "printed circuit board"),
        ("mvtec_ad", "pcb2", "printed circuit board"),  # VisA in MVTec-AD's layout
        ("folder", "screws_2024", "screws"),
        ("folder", "2024", "2024"),
        ("digits", "7", "seven"),
    ],
)
def test_class_names_for_prompts(kind, name, cleaned):
    assert datasets.class_name(kind, name) == cleaned


def test_the_kinds_import_nothing_heavy():
    """They are imported whenever the Snakefile is read."""
    code = "import sys, swsa_core.datasets; print(*{'torch', 'sklearn', 'scipy', 'pandas', 'PIL'} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_many_tasks_are_listed_quickly(tmp_path):
    for number in range(3290):
        (tmp_path / f"train/class {number:04d}").mkdir(parents=True)
        (tmp_path / f"test/class {number:04d}").mkdir(parents=True)
        for image in range(2):
            (tmp_path / f"train/class {number:04d}/{image}.png").touch()
    for allow_missing in (False, True):
        start = time.perf_counter()
        tasks = datasets.tasks(layouts.spec("classes", tmp_path, allow_missing=allow_missing, seeds=2))
        print(f"tasks() of {len(tasks)} classes, allow_missing {allow_missing}: {time.perf_counter() - start:.2f} s")
        assert len(tasks) == 3290
    start = time.perf_counter()
    inputs = [datasets.inputs(layouts.spec("classes", tmp_path), task) for task in tasks]
    print(f"inputs() of {len(inputs)} tasks: {time.perf_counter() - start:.2f} s")
