"""`snakemake datasets` puts small archives of the official layouts where the readers find them, and nothing else there."""

import io
import json
import os
import shutil
import tarfile
import zipfile
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from hashlib import file_digest
from pathlib import Path

import layouts
import pytest
from local_server import serving
from workflow import ROOT, dry_run, snakemake

from swsa_core import datasets
from swsa_core.anomalies import SOURCES, tiny_imagenet
from swsa_core.basics.errors import InputError
from swsa_core.config.config import validate
from swsa_core.datasets import fetch as fetch_dataset
from swsa_core.datasets import mvtec_ad
from swsa_core.files.downloads import Published

CUB = ["001.Black_footed_Albatross", "002.Laysan_Albatross"]
TASKS = {
    "cub": CUB,
    "flowers": ["pink primrose", "hard-leaved pocket orchid", "colt's foot"],
    "mvtec_ad": list(mvtec_ad.CATEGORIES),
    "visa": ["candle", "pcb1"],
}
LICENSED = ("mvtec_ad", "visa")
PUBLISHED = fetch_dataset.publications()
FILES = fetch_dataset.published_files()


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
    return {kind: packed(directory, content, PUBLISHED[kind].files[0].name) for kind, content in contents.items()}


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    return make_archives(tmp_path_factory.mktemp("archives"))


def study(directory, archives, kinds=TASKS, **changes):
    """A config whose data sets are named like their kinds, with roots below `directory`; archives: {kind: its archive}."""

    def entry(kind):
        return {"root": str(directory / kind)} | ({"archive": str(archives[kind])} if kind in archives else {})

    found = {
        kind: {"kind": kind} | entry(kind) | ({"accept_license": True} if kind in LICENSED else {}) | changes
        for kind in kinds
    }
    return {
        "datasets": found,
        "sources": {"tiny_imagenet": entry("tiny_imagenet") | {"pool": 10}, "cutpaste": {}},
        "support": {"seeds": 4},
        "candidates": ["descriptor:hog"],
    }


def config(*args, **changes):
    return validate(study(*args, **changes))


def publish(monkeypatch, kind, archive, urls=None):
    """Make an archive and the files beside it those that are published for a kind; urls: {name: where it is served}."""
    official_files = (
        Published(
            (urls or {}).get(file.name, file.url),
            path.stat().st_size,
            **{name: digest(path, name) for name in ("sha256", "md5") if getattr(file, name)},
        )
        for file in PUBLISHED[kind].files
        for path in [archive if file == PUBLISHED[kind].files[0] else archive.parent / file.name]
    )
    publication = PUBLISHED[kind]._replace(files=tuple(official_files))
    if kind in datasets.KINDS:
        monkeypatch.setitem(datasets.KINDS, kind, replace(datasets.KINDS[kind], publication=publication))
    else:
        monkeypatch.setitem(SOURCES, kind, replace(SOURCES[kind], publication=publication))


def digest(path, name):
    with open(path, "rb") as file:
        return file_digest(file, name).hexdigest()


@pytest.fixture
def published(archives, monkeypatch):
    """The small archives instead of those of the publishers."""
    for kind, archive in archives.items():
        publish(monkeypatch, kind, archive)


@contextmanager
def served(kind, archive, monkeypatch):
    """{name: server} of the files of a kind, each of which sends its file in two parts."""
    names = [file.name for file in PUBLISHED[kind].files]
    with ExitStack() as stack:
        servers = {name: stack.enter_context(serving((archive.parent / name).read_bytes(), name)) for name in names}
        publish(monkeypatch, kind, archive, {name: server.url for name, server in servers.items()})
        for server in servers.values():
            server.limit = len(server.content) // 2 + 1
        yield servers


def read(given, kind):
    """Names of the tasks of a data set whose index is not empty, or the number of images in the pool."""
    if kind == "tiny_imagenet":
        return len(tiny_imagenet.pool(given["sources"][kind], seed=0))
    index = datasets.index(given["datasets"][kind])
    assert set(index["split"]) == {"train", "test"}
    return datasets.tasks(given["datasets"][kind])


EXPECTED = TASKS | {"tiny_imagenet": 10}


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.usefixtures("published")
def test_the_reader_finds_the_tasks_in_what_an_archive_holds(kind, archives, tmp_path):
    given = config(tmp_path / "data", archives, [kind])
    assert fetch_dataset.to_fetch(given) == [f"datasets.{kind}", "sources.tiny_imagenet"]
    root = fetch_dataset.fetch_dataset(given, f"datasets.{kind}")
    assert read(given, kind) == EXPECTED[kind]
    assert root == tmp_path / "data" / kind
    assert [path.name for path in root.parent.iterdir()] == [kind]
    assert fetch_dataset.to_fetch(given) == ["sources.tiny_imagenet"]


@pytest.mark.parametrize("kind", PUBLISHED)
def test_a_download_is_checked_where_it_is_fetched_and_where_it_is_unpacked(kind, archives, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = config(tmp_path / "data", {}, ["cub" if kind == "tiny_imagenet" else kind])
    key = "sources.tiny_imagenet" if kind == "tiny_imagenet" else f"datasets.{kind}"
    paths = [Path(path) for path in fetch_dataset.files(fetch_dataset.published(given)[key])]
    with served(kind, archives[kind], monkeypatch) as servers:
        for path in paths:
            assert fetch_dataset.fetch_archive(path.name, path).read_bytes() == servers[path.name].content
            assert len(servers[path.name].requests) == 2  # broken off once, and resumed
    fetch_dataset.fetch_dataset(given, key)
    assert read(given, kind) == EXPECTED[kind]
    shutil.rmtree(tmp_path / "data")
    paths[-1].write_bytes(paths[-1].read_bytes()[:-1] + b"x")
    with pytest.raises(
        InputError, match=r"is not the file of http://127.*: it has (MD5|SHA-256) .*; delete it and run"
    ):
        fetch_dataset.fetch_dataset(given, key)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("change", ["one byte differs", "a byte more"])
def test_an_own_archive_is_the_published_one(change, kind, archives, tmp_path):
    for path in archives[kind].parent.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    own = tmp_path / archives[kind].name
    content = own.read_bytes()
    own.write_bytes(content + b"x" if change == "a byte more" else content[:-1] + bytes([content[-1] ^ 1]))
    file = fetch_dataset.publications()[kind].files[0]
    algorithm, label = ("sha256", "SHA-256") if file.sha256 else ("md5", "MD5")
    has = f"{len(content) + 1:,} bytes" if change == "a byte more" else f"{label} {digest(own, algorithm)}"
    with pytest.raises(InputError) as error:
        fetch_dataset.fetch_dataset(config(tmp_path / "data", {kind: own}, [kind]), f"datasets.{kind}")
    told = (
        str(own),
        f"it has {has}, expected {file.size:,} bytes with {label}",
        f"to root '{tmp_path / 'data' / kind}'",
    )
    assert all(part in str(error.value) for part in (*told, getattr(file, algorithm)))
    assert not (tmp_path / "data").exists()


@pytest.mark.usefixtures("published")
def test_a_file_beside_an_own_archive_is_the_published_one(archives, tmp_path):
    for name in ("102flowers.tgz", "setid.mat"):
        shutil.copy(archives["flowers"].parent / name, tmp_path)
    (tmp_path / "imagelabels.mat").write_bytes(b"mine")
    given = config(tmp_path / "data", {"flowers": tmp_path / "102flowers.tgz"}, ["flowers"])
    with pytest.raises(
        InputError, match=r"imagelabels\.mat is not the file of .*: it has 4 bytes, expected .* with MD5"
    ):
        fetch_dataset.fetch_dataset(given, "datasets.flowers")


@pytest.mark.usefixtures("published")
def test_visa_arrives_with_its_defect_types(archives, tmp_path):
    given = config(tmp_path, archives, ["visa"])
    fetch_dataset.fetch_dataset(given, "datasets.visa")
    groups = datasets.index(given["datasets"]["visa"]).groupby("class")["group"].unique()
    assert {name: set(found) for name, found in groups.items()} == {
        "candle": {"good", "melt", "melt,hole", "hole"},
        "pcb1": {"good", "bent", "scratch, bent"},
    }


@pytest.mark.usefixtures("published")
def test_tiny_imagenet_is_a_pool(archives, tmp_path):
    given = config(tmp_path, archives, ["cub"])
    fetch_dataset.fetch_dataset(given, "sources.tiny_imagenet")
    assert len(tiny_imagenet.pool(given["sources"]["tiny_imagenet"], seed=0)) == 10


@pytest.mark.usefixtures("published")
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


@pytest.mark.usefixtures("published")
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
    line = rf"datasets\.{kind}: {PUBLISHED[kind].title} is under CC BY.*creativecommons.*add `accept_license: true`"
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
    "that leads out": (None, "outside the destination"),
    "that was cut off": (None, "it is damaged"),
}


@pytest.mark.parametrize("what", WRONG)
def test_nothing_is_left_of_an_archive(what, archives, tmp_path, monkeypatch):
    other, message = WRONG[what]
    archive = archives.get(other, tmp_path / "in" / "a.tgz")
    tree = layouts.cub(tmp_path / "in" / "tree", make=layouts.touch)
    if what == "without some images":
        next(tree.rglob("*.jpg")).unlink()
    if other is None:
        extra = {"CUB_200_2011/../../up": b"bad"} if what == "that leads out" else {}
        packed(tmp_path / "in", {"CUB_200_2011": tree} | extra, "a.tgz")
    if what == "that was cut off":
        archive.write_bytes(archive.read_bytes()[:-1000])
    publish(monkeypatch, "cub", archive)
    with pytest.raises(InputError, match=message):
        fetch_dataset.fetch_dataset(config(tmp_path / "out", archives | {"cub": archive}, ["cub"]), "datasets.cub")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.usefixtures("published")
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


@pytest.mark.parametrize("wrong", ["a shorter file", "another byte", "no file"])
def test_a_failed_download_says_where_the_file_belongs(wrong, archives, tmp_path, monkeypatch):
    with served("cub", archives["cub"], monkeypatch) as servers:
        server = servers["CUB_200_2011.tgz"]
        content, server.limit = server.content, None
        server.status = 404 if wrong == "no file" else 200
        server.content = b"short" if wrong == "a shorter file" else content[:-1] + b"x"
        with pytest.raises(InputError) as error:
            fetch_dataset.fetch_archive("CUB_200_2011.tgz", tmp_path / "CUB_200_2011.tgz")
    told = (server.url, str(tmp_path / "CUB_200_2011.tgz"), f"{len(content):,}", PUBLISHED["cub"].page, "`archive`")
    assert all(part in str(error.value) for part in told)
    assert not (tmp_path / "CUB_200_2011.tgz").exists()


def test_published_files_have_a_size_and_a_digest():
    assert len(set(FILES)) == len(FILES)
    for file in (file for known in PUBLISHED.values() for file in known.files):
        assert file.url.startswith("https://") and file.size > 0
        assert len(bytes.fromhex(file.sha256 or file.md5)) == (32 if file.sha256 else 16)


# What `publish` does, for the processes of a workflow: Python imports it by this name when it starts.
SITECUSTOMIZE = """
import json
from dataclasses import replace
from swsa_core.anomalies import SOURCES
from swsa_core.datasets import KINDS
from swsa_core.files.downloads import Published

for name, files in json.loads({files!r}).items():
    published = tuple(Published(*file) for file in files)
    registry = KINDS if name in KINDS else SOURCES
    registry[name] = replace(registry[name], publication=registry[name].publication._replace(files=published))
"""


def publish_to_processes(directory, monkeypatch):
    """Let the processes started from now on know what is published in this one."""
    directory.mkdir(exist_ok=True)
    files = json.dumps({kind: known.files for kind, known in fetch_dataset.publications().items()})
    (directory / "sitecustomize.py").write_text(SITECUSTOMIZE.format(files=files))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(directory), str(ROOT)]))


@pytest.mark.slow
def test_the_workflow_fetches_before_there_are_tasks(archives, tmp_path, monkeypatch):
    given = study(Path("data"), {})
    for target in ("all", "results/cub/support/001.Black_footed_Albatross.json"):
        output = snakemake(tmp_path, given, "--dry-run", target, check=False)
        assert "Error: datasets.cub: root 'data/cub' is not a directory" in output and "Traceback" not in output
        assert "`snakemake datasets` with this config fetches it" in output
    with ExitStack() as stack:
        servers = {}
        for kind, archive in archives.items():
            servers |= stack.enter_context(served(kind, archive, monkeypatch))
        publish_to_processes(tmp_path / "site", monkeypatch)
        assert dry_run(tmp_path, given, "datasets") == {"fetch_archive": 7, "fetch_dataset": 5, "datasets": 1}
        snakemake(tmp_path, given, "datasets")
    assert {name: len(server.requests) for name, server in servers.items()} == dict.fromkeys(FILES, 2)
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == sorted(PUBLISHED)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")}
    shutil.rmtree(tmp_path / "data/cub")
    assert dry_run(tmp_path, given, "datasets") == {"fetch_dataset": 1, "datasets": 1}  # what is gone
    snakemake(tmp_path, given, "datasets")
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")}
    assert before.keys() == after.keys()
    others = [path for path in after if "data/cub" not in path.as_posix() and path.name != "data"]
    assert all(before[path] == after[path] for path in others)
    assert dry_run(tmp_path, given, "results/cub/images.csv") == {"index_images": 1}


@pytest.mark.usefixtures("published")
def test_the_workflow_asks_for_the_licence_before_anything_is_fetched(archives, tmp_path, monkeypatch):
    given = {
        "datasets": {"products": {"kind": "visa", "root": "visa"}},
        "sources": {"cutpaste": {}},
        "support": {"seeds": 4},
        "candidates": ["descriptor:hog"],
    }
    output = snakemake(tmp_path, given, "datasets", check=False)
    assert "Error: datasets.products: VisA is under CC BY 4.0" in output and "Traceback" not in output
    publish_to_processes(tmp_path / "site", monkeypatch)
    given["datasets"]["products"] |= {"accept_license": True, "archive": str(archives["visa"])}
    assert "VisA is under CC BY 4.0" in snakemake(tmp_path, given, "datasets")
