"""`snakemake datasets` puts small archives of the official layouts where the readers find them, and nothing else there."""

import io
import shutil
import tarfile
import zipfile
from hashlib import md5
from pathlib import Path

import layouts
import pytest
from local_server import serving
from workflow import dry_run, snakemake

from swsa_core import datasets, fetch_dataset
from swsa_core.config import validate
from swsa_core.datasets import mvtec_ad, official, tiny_imagenet
from swsa_core.datasets.official import FILES, OFFICIAL
from swsa_core.downloads import Published
from swsa_core.errors import InputError

CUB = ["001.Black_footed_Albatross", "002.Laysan_Albatross"]
TASKS = {
    "cub": CUB,
    "flowers": ["pink primrose", "hard-leaved pocket orchid", "colt's foot"],
    "mvtec_ad": list(mvtec_ad.CATEGORIES),
    "visa": ["candle", "pcb1"],
}
LICENSED = ("mvtec_ad", "visa")


def packed(directory, content, name):
    """An archive of {path inside: file or directory on disk, or bytes}."""
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            for inside, root in content.items():
                for file in sorted(root.rglob("*")):
                    archive.write(file, f"{inside}/{file.relative_to(root).as_posix()}")
        return path
    mode = {".tgz": "w:gz", "r.xz": "w:xz"}.get(name[-4:], "w")
    with tarfile.open(path, mode, **({"preset": 0} if mode == "w:xz" else {})) as archive:
        for inside, source in content.items():
            if isinstance(source, bytes):
                info = tarfile.TarInfo(inside)
                info.size = len(source)
                archive.addfile(info, io.BytesIO(source))
            else:
                archive.add(source, inside)
    return path


def make_archives(directory):
    """{kind: archive}: the official archives with a few empty images, and the official files beside them."""
    trees, make = directory / "trees", layouts.touch
    layouts.cub(trees / "cub", make=make)
    layouts.flowers(trees / "flowers", make=make)
    layouts.mvtec_ad(trees / "mvtec_ad", mvtec_ad.CATEGORIES, make=make)
    layouts.visa(trees / "visa", make=make)
    layouts.tiny_imagenet(trees / "tiny_imagenet", make=make)
    tops = {path.name: path for kind in ("mvtec_ad", "visa") for path in (trees / kind).iterdir()}
    contents = {
        "cub": {"attributes.txt": b"1 has_bill_shape\n", "CUB_200_2011": trees / "cub"},
        "flowers": {"jpg": trees / "flowers/jpg"},
        "mvtec_ad": {name: tops[name] for name in mvtec_ad.CATEGORIES} | {"license.txt": b"CC", "readme.txt": b"MVTec"},
        "visa": {name: tops[name] for name in ("candle", "pcb1", "split_csv")} | {"LICENSE-DATASET": b"CC"},
        "tiny_imagenet": {"tiny-imagenet-200": trees / "tiny_imagenet"},
    }
    for table in ("imagelabels.mat", "setid.mat"):
        shutil.copy(trees / "flowers" / table, directory / table)
    return {kind: packed(directory, content, OFFICIAL[kind].files[0].name) for kind, content in contents.items()}


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    return make_archives(tmp_path_factory.mktemp("archives"))


def config(directory, archives, kinds=TASKS, **changes):
    """A validated config whose data sets are named like their kinds, with roots below `directory`."""
    found = {
        kind: {"kind": kind, "root": str(directory / kind), "archive": str(archives[kind])}
        | ({"accept_license": True} if kind in LICENSED else {})
        | changes
        for kind in kinds
    }
    pool = {"root": str(directory / "tiny"), "archive": str(archives["tiny_imagenet"]), "pool": 10}
    return validate(
        {
            "datasets": found,
            "sources": {"tiny_imagenet": pool, "cutpaste": {}},
            "support": {"seeds": 4},
            "candidates": ["descriptor:hog"],
        }
    )


@pytest.mark.parametrize("kind", TASKS)
def test_the_reader_finds_the_tasks_in_what_an_archive_holds(kind, archives, tmp_path):
    given = config(tmp_path / "data", archives, [kind])
    spec = given["datasets"][kind]
    assert fetch_dataset.to_fetch(given) == [f"datasets.{kind}", "sources.tiny_imagenet"]
    root, notes = fetch_dataset.fetch_dataset(given, f"datasets.{kind}")
    assert datasets.tasks(spec) == TASKS[kind]
    assert not datasets.index(spec).empty
    assert root == tmp_path / "data" / kind
    assert [path.name for path in root.parent.iterdir()] == [kind]
    assert any("is not the published" in note for note in notes)
    assert any(note.startswith(OFFICIAL[kind].title + " is under CC BY") for note in notes) == (kind in LICENSED)
    assert fetch_dataset.to_fetch(given) == ["sources.tiny_imagenet"]


def test_visa_arrives_with_its_defect_types(archives, tmp_path):
    given = config(tmp_path, archives, ["visa"])
    fetch_dataset.fetch_dataset(given, "datasets.visa")
    groups = datasets.index(given["datasets"]["visa"]).groupby("class")["group"].unique()
    assert {name: set(found) for name, found in groups.items()} == {
        "candle": {"good", "melt", "melt,hole", "hole"},
        "pcb1": {"good", "bent", "scratch, bent"},
    }


def test_tiny_imagenet_is_a_pool(archives, tmp_path):
    given = config(tmp_path, archives, ["cub"])
    fetch_dataset.fetch_dataset(given, "sources.tiny_imagenet")
    assert len(tiny_imagenet.pool(given["sources"]["tiny_imagenet"], seed=0)) == 10


def test_roots_may_be_empty_links_or_shared(archives, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "cub").symlink_to(tmp_path / "disk" / "birds")
    (tmp_path / "visa").mkdir()
    given = config(tmp_path, archives, ["cub", "visa", "mvtec_ad"])
    given["datasets"]["one"] = given["datasets"]["mvtec_ad"] | {"tasks": ["bottle"]}
    keys = fetch_dataset.to_fetch(given)
    assert keys == ["datasets.cub", "datasets.visa", "datasets.mvtec_ad", "sources.tiny_imagenet"]
    for key in keys:
        fetch_dataset.fetch_dataset(given, key)
    assert fetch_dataset.to_fetch(given) == []
    assert (tmp_path / "cub").is_symlink() and (tmp_path / "disk/birds/images").is_dir()


def test_what_a_root_holds_is_left_alone(archives, tmp_path):
    layouts.touch(tmp_path / "cub/images/mine.jpg")
    given = config(tmp_path, archives, ["cub"])
    with pytest.raises(InputError, match=r"datasets\.cub: root .* lacks images\.txt.*is left alone: move it away"):
        fetch_dataset.to_fetch(given)
    with pytest.raises(InputError, match=r"cannot be made \(Directory not empty\)"):
        fetch_dataset.fetch_dataset(given, "datasets.cub")
    assert [path.name for path in tmp_path.rglob("*")] == ["cub", "images", "mine.jpg"]


def test_a_part_of_a_data_set_is_enough_where_the_config_needs_no_more(archives, tmp_path):
    layouts.mvtec_ad(tmp_path / "mvtec_ad", ["bottle"], make=layouts.touch)
    assert fetch_dataset.to_fetch(config(tmp_path, archives, ["mvtec_ad"], tasks=["bottle"])) == [
        "sources.tiny_imagenet"
    ]
    with pytest.raises(InputError, match="lacks 28 directories"):
        fetch_dataset.to_fetch(config(tmp_path, archives, ["mvtec_ad"]))


@pytest.mark.parametrize("kind", LICENSED)
def test_a_licence_is_accepted_in_the_config(kind, archives, tmp_path):
    line = rf"datasets\.{kind}: {OFFICIAL[kind].title} is under CC BY.*creativecommons.*add `accept_license: true`"
    with pytest.raises(InputError, match=line):
        fetch_dataset.to_fetch(config(tmp_path, archives, [kind], accept_license=False))


def test_an_archive_that_is_not_there(archives, tmp_path):
    with pytest.raises(InputError, match=r"datasets\.cub\.archive: there is no file .*gone\.tgz"):
        fetch_dataset.to_fetch(config(tmp_path, archives | {"cub": tmp_path / "gone.tgz"}, ["cub"]))
    shutil.copy(archives["flowers"], tmp_path)
    with pytest.raises(InputError, match=r"datasets\.flowers\.archive: there is no file .*imagelabels\.mat"):
        fetch_dataset.to_fetch(config(tmp_path, {**archives, "flowers": tmp_path / "102flowers.tgz"}, ["flowers"]))


WRONG = {
    "of another data set": ("flowers", r"has no directory 'CUB_200_2011': it is not the archive of CUB-200-2011"),
    "without some images": (
        None,
        r"does not hold what datasets\.cub needs: images\.txt .* names 1 images that are not",
    ),
    "that leads out": (None, "would land outside its directory"),
    "that was cut off": (None, "is damaged"),
}


@pytest.mark.parametrize("what", WRONG)
def test_nothing_is_left_of_an_archive(what, archives, tmp_path):
    other, message = WRONG[what]
    archive = archives.get(other, tmp_path / "in" / "a.tgz")
    tree = layouts.cub(tmp_path / "in" / "tree", make=layouts.touch)
    if what == "without some images":
        next(tree.rglob("*.jpg")).unlink()
    if other is None:
        extra = {"CUB_200_2011/../../up": b"bad"} if what == "that leads out" else {}
        packed(tmp_path / "in", {"CUB_200_2011": tree} | extra, "a.tgz")
    if what == "that was cut off":
        archive.write_bytes(archive.read_bytes()[:-20])
    with pytest.raises(InputError, match=message):
        fetch_dataset.fetch_dataset(config(tmp_path / "out", archives | {"cub": archive}, ["cub"]), "datasets.cub")
    assert not list((tmp_path / "out").iterdir())


def test_an_interrupted_unpacking_starts_anew(archives, tmp_path, monkeypatch):
    given = config(tmp_path, archives, ["cub"])
    layouts.touch(tmp_path / ".cub.swsa-unpacking/CUB_200_2011/images/stale.jpg")  # what a killed job leaves

    def interrupt(done, total):
        raise KeyboardInterrupt

    assert fetch_dataset.to_fetch(given)[0] == "datasets.cub"
    with pytest.raises(KeyboardInterrupt):
        fetch_dataset.fetch_dataset(given, "datasets.cub", progress=interrupt)
    assert not list(tmp_path.iterdir())
    layouts.touch(tmp_path / "cub.partial/mine.txt")
    fetch_dataset.fetch_dataset(given, "datasets.cub")
    assert not list(tmp_path.rglob("stale.jpg"))
    assert (tmp_path / "cub.partial/mine.txt").is_file(), "a directory of the user's is not touched"


def publish(monkeypatch, kind, server, content):
    """Make the one file of a kind that of a server."""
    file = Published(server.url, len(content), md5=md5(content).hexdigest())
    monkeypatch.setitem(official.OFFICIAL, kind, OFFICIAL[kind]._replace(files=(file,)))


def test_a_download_is_checked_where_it_is_fetched_and_where_it_is_unpacked(archives, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = archives["cub"].read_bytes()
    given = config(tmp_path / "data", archives, ["cub"], archive=None)
    (path,) = fetch_dataset.files(given["datasets"]["cub"])
    with serving(content, "CUB_200_2011.tgz") as server:
        publish(monkeypatch, "cub", server, content)
        server.limit = len(content) // 2 + 1
        assert official.fetch_archive("CUB_200_2011.tgz", path).read_bytes() == content
        assert len(server.requests) == 2  # broken off once, and resumed
    _, notes = fetch_dataset.fetch_dataset(given, "datasets.cub")
    assert datasets.tasks(given["datasets"]["cub"]) == CUB and not notes
    shutil.rmtree(tmp_path / "data")
    Path(path).write_bytes(content[:-1] + b"x")
    with pytest.raises(InputError, match=r"is not the file of http://127.*, it has MD5 .*: delete it and run again"):
        fetch_dataset.fetch_dataset(given, "datasets.cub")


@pytest.mark.parametrize("wrong", [b"short", None, 404])
def test_a_failed_download_says_where_the_file_belongs(wrong, archives, tmp_path, monkeypatch):
    content = archives["cub"].read_bytes()
    served = wrong if isinstance(wrong, bytes) else content[:-1] + b"x"
    with serving(served, "CUB_200_2011.tgz") as server:
        server.status = 404 if wrong == 404 else 200
        publish(monkeypatch, "cub", server, content)
        with pytest.raises(InputError) as error:
            official.fetch_archive("CUB_200_2011.tgz", tmp_path / "CUB_200_2011.tgz")
    told = (server.url, str(tmp_path / "CUB_200_2011.tgz"), f"{len(content):,}", OFFICIAL["cub"].page, "`archive`")
    assert all(part in str(error.value) for part in told)
    assert not (tmp_path / "CUB_200_2011.tgz").exists()


def test_published_files_have_a_size_and_a_digest():
    assert len(set(FILES)) == len(FILES)
    for file in (file for known in OFFICIAL.values() for file in known.files):
        assert file.url.startswith("https://") and file.size > 0
        assert len(bytes.fromhex(file.sha256 or file.md5)) == (32 if file.sha256 else 16)


@pytest.mark.slow
def test_the_workflow_fetches_before_there_are_tasks(archives, tmp_path):
    given = {
        "datasets": {
            "birds": {"kind": "cub", "root": "data/birds", "archive": str(archives["cub"])},
            "flowers": {"kind": "flowers", "root": "data/flowers", "archive": str(archives["flowers"])},
        },
        "sources": {
            "tiny_imagenet": {"root": "data/tiny", "archive": str(archives["tiny_imagenet"]), "pool": 10},
        },
        "support": {"seeds": 4},
        "candidates": ["descriptor:hog"],
    }
    for target in ("all", "results/birds/support/001.Black_footed_Albatross.json"):
        output = snakemake(tmp_path, given, "--dry-run", target, check=False)
        assert "Error: datasets.birds: root 'data/birds' is not a directory" in output and "Traceback" not in output
        assert "`snakemake datasets` with this config fetches it" in output
    snakemake(tmp_path, given, "datasets")
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["birds", "flowers", "tiny"]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")}
    shutil.rmtree(tmp_path / "data/birds")
    assert dry_run(tmp_path, given, "datasets") == {"fetch_dataset": 1, "datasets": 1}  # what is gone
    snakemake(tmp_path, given, "datasets")
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")}
    assert before.keys() == after.keys()
    assert all(
        before[path] == after[path] for path in after if "data/birds" not in path.as_posix() and path.name != "data"
    )
    assert dry_run(tmp_path, given, "results/birds/images.csv") == {"index_images": 1}


def test_the_workflow_asks_for_the_licence_before_anything_is_fetched(archives, tmp_path):
    given = {
        "datasets": {"products": {"kind": "visa", "root": "visa"}},
        "sources": {"cutpaste": {}},
        "support": {"seeds": 4},
        "candidates": ["descriptor:hog"],
    }
    output = snakemake(tmp_path, given, "datasets", check=False)
    assert "Error: datasets.products: VisA is under CC BY 4.0" in output and "Traceback" not in output
    given["datasets"]["products"] |= {"accept_license": True, "archive": str(archives["visa"])}
    assert "VisA is under CC BY 4.0" in snakemake(tmp_path, given, "datasets")
