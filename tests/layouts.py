"""Tiny data sets in the official layouts, with drawn images, and complete data set specs for them."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from swsa_core.datasets.section import LATER

SHARED = Path(__file__).parents[1].parent / "shared"
DEFAULTS = {
    "root": None,
    "tasks": "all",
    "allow_missing": False,
    "on_bad_image": "error",
    "normal": None,
    "train": None,
    "real_split": "test",
    "groups": "exact",
    "min_group_size": 1,
    "support": {"seeds": 4},
    **LATER,
}


def spec(kind, root=None, **changes):
    """A complete data set spec, as the validated config holds it; `seeds` is short for support.seeds."""
    if "seeds" in changes:
        changes["support"] = {"seeds": changes.pop("seeds")}
    return {**DEFAULTS, "kind": kind, "root": None if root is None else str(root), **changes}


def draw(path, seed=0, size=(40, 32)):
    """An image file of random pixels, (width, height) = size; the suffix says the format."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def touch(path, seed=0):
    """An empty file: what is enough for listings."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def cub(root, names=("001.Black_footed_Albatross", "002.Laysan_Albatross"), train=6, test=4, make=draw):
    """CUB-200-2011: images/<class>/ and the four official tables."""
    lines = {"images": [], "classes": [], "image_class_labels": [], "train_test_split": []}
    for label, name in enumerate(names, 1):
        bird = name.partition(".")[2]
        lines["classes"].append(f"{label} {name}")
        for number in range(train + test):
            image_id = len(lines["images"]) + 1
            lines["images"].append(f"{image_id} {name}/{bird}_{number:04d}.jpg")
            lines["image_class_labels"].append(f"{image_id} {label}")
            lines["train_test_split"].append(f"{image_id} {int(number < train)}")
            make(root / f"images/{name}/{bird}_{number:04d}.jpg", image_id)
    for table, text in lines.items():
        (root / f"{table}.txt").write_text("\n".join(text) + "\n")
    return root


def flowers(root, labels=(1, 2, 12), train=6, val=2, test=4, make=draw):
    """Oxford Flowers-102: jpg/image_NNNNN.jpg, setid.mat and imagelabels.mat."""
    from scipy.io import savemat

    image_labels, ids = [], {"trnid": [], "valid": [], "tstid": []}
    for label in labels:
        for split, count in zip(ids, (train, val, test), strict=True):
            for _ in range(count):
                image_labels.append(label)
                ids[split].append(len(image_labels))
                make(root / f"jpg/image_{len(image_labels):05d}.jpg", len(image_labels))
    savemat(root / "imagelabels.mat", {"labels": np.array([image_labels], np.uint8)})
    savemat(root / "setid.mat", {split: np.array([numbers[::-1]], np.uint16) for split, numbers in ids.items()})
    return root


def mvtec_ad(root, products=("bottle", "metal_nut"), train=6, good=3, defects=None, make=draw):
    """MVTec-AD: <product>/train/good, <product>/test/{good, <defect type>} and masks in ground_truth."""
    for product in products:
        split_folder(root / product, train, good, defects or {"scratch": 3, "broken_large": 2}, make)
        make(root / product / "ground_truth/scratch/000_mask.png", 1)
    return root


def split_folder(root, train=6, good=3, defects=None, make=draw):
    """A folder with train/good and, where there are any, test/good and test/<defect type>."""
    groups = {"train/good": train, "test/good": good, **{f"test/{name}": n for name, n in (defects or {}).items()}}
    for group, count in groups.items():
        for number in range(count):
            make(root / group / f"{number:03d}.png", number)
    return root


def flat_folder(root, count=8, make=draw):
    """A flat folder of normal images."""
    for number in range(count):
        make(root / f"{number:03d}.png", number)
    return root


def visa(root, labels=None, train=6, good=3, make=draw):
    """VisA: split_csv/1cls.csv, <product>/image_anno.csv and images; labels: {product: label of each anomaly}."""
    labels = labels or {"candle": ["melt", "melt,hole", "hole"], "pcb1": ["bent", "scratch, bent"]}
    lines = []
    for product, anomalies in labels.items():
        images = f"{product}/Data/Images"
        normals = [(f"{images}/Normal/{number:04d}.JPG", "normal") for number in range(train + good)]
        broken = [(f"{images}/Anomaly/{number:03d}.JPG", label) for number, label in enumerate(anomalies)]
        for number, (image, label) in enumerate(normals + broken):
            make(root / image, number)
            split = "train" if number < train else "test"
            lines.append([product, split, "normal" if label == "normal" else "anomaly", image, ""])
        write_csv(
            root / product / "image_anno.csv", ["image", "label", "mask"], [[*row, ""] for row in normals + broken]
        )
    write_csv(root / "split_csv/1cls.csv", ["object", "split", "label", "image", "mask"], lines)
    return root


def classes(root, names=("red", "blue"), train=6, test=4, make=draw):
    """train/<class> and test/<class>."""
    for split, count in (("train", train), ("test", test)):
        for name in names:
            for number in range(count):
                make(root / split / name / f"{number}.png", number)
    return root


def tiny_imagenet(root, wnids=("n00000002", "n00000001"), images=5, make=draw):
    """Tiny-ImageNet's train split: wnids.txt and train/<wnid>/images/."""
    for wnid in wnids:
        for number in range(images):
            make(root / f"train/{wnid}/images/{wnid}_{number}.JPEG", number)
        (root / f"train/{wnid}/{wnid}_boxes.txt").touch()
    (root / "wnids.txt").write_text("\n".join(wnids) + "\n")
    return root


def write_csv(path, header, lines):
    """A CSV file with a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *lines])
