"""Listing of image files and directories: patterns, what is left aside, and links and rights that stand in the way."""

import os
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swsa_core.basics.errors import InputError
from swsa_core.files import listing
from swsa_core.files.listing import Choice, matches


def made(root, *paths):
    """`root`, with an empty file at each path below it; a path that ends in a slash is a directory."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).mkdir() if path.endswith("/") else (root / path).touch()
    return root


@pytest.mark.parametrize(
    ("pattern", "meant", "not_meant"),
    [
        ("a.png", ["a.png", "x/a.png", "x/y/a.png"], ["b.png", "xa.png", "a.png2"]),
        ("*.png", ["a.png", "x/y/a.png", "x.png/b.tif"], ["a.PNG", "png"]),
        ("cam1", ["cam1/a.png", "x/cam1/y/a.png", "cam1"], ["cam10/a.png", "xcam1/a.png"]),
        ("cam1/*.png", ["cam1/a.png"], ["cam1/x/a.png", "x/cam1/a.png"]),
        ("./cam1/", ["cam1/a.png", "x/cam1/a.png"], ["cam2/a.png"]),
        ("/x/cam?", ["x/cam1/a.png", "x/cam2/y/a.png"], ["x/cam/a.png", "x/cam12/a.png", "y/x/cam1/a.png"]),
        ("x/**/a.png", ["x/a.png", "x/y/a.png", "x/y/z/a.png"], ["a.png", "y/x/a.png"]),
        ("**/x/*.png", ["x/a.png", "y/z/x/a.png"], ["x/y/a.png"]),
        ("x/**", ["x/a.png", "x/y/a.png"], ["x", "y/a.png"]),
        ("img_[0-4]*", ["img_0.png", "x/img_42.png"], ["img_5.png", "img_.png"]),
        ("img_[!0-4]*", ["img_5.png"], ["img_0.png", "img_/a.png"]),
        ("part (1).p+g", ["part (1).p+g"], ["part 1.ppg"]),
    ],
)
def test_what_a_pattern_means(pattern, meant, not_meant):
    assert [path for path in meant if not matches(path, [pattern])] == []
    assert [path for path in not_meant if matches(path, [pattern])] == []


@given(st.text("ab*?[]!-.x", min_size=1, max_size=6), st.text("ab*?[]!-.x", min_size=1, max_size=6))
def test_patterns_of_names_are_those_of_the_shell(pattern, name):
    if pattern.startswith(("./", "/")) or "[" in pattern:
        return
    while "**" in pattern:  # means directories too
        pattern = pattern.replace("**", "*")
    assert matches(name, [pattern]) == fnmatchcase(name, pattern)


def test_all_suffixes_of_images_are_listed_in_both_cases(tmp_path):
    made(tmp_path, "a.PNG", "b.Jpeg", "c.tif", "d.pgm", "e.jp2", "f.txt", "g", ".h.png", "png", "i.png/")
    assert listing.images(tmp_path) == ["a.PNG", "b.Jpeg", "c.tif", "d.pgm", "e.jp2"]


def test_hidden_and_system_names_are_no_images_and_no_classes(tmp_path):
    system = ("__MACOSX/._a.png", "@eaDir/a.png/thumb.jpg", "$RECYCLE.BIN/a.png", "lost+found/", ".thumbnails/a.png")
    made(tmp_path, *system, "System Volume Information/", "Thumbs.db", "x/.hidden.png", "x/a.png", "x/@eaDir/b.png")
    assert listing.directories(tmp_path) == ["x"]
    assert listing.images_below(tmp_path) == ["x/a.png"]
    assert listing.left_aside(tmp_path) == {}


@pytest.mark.parametrize("name", ["thumbs", "Thumbnails", "thumbnail", "_thumbs", "_Thumbs", "thumb", "THUMB"])
def test_directories_of_thumbnails_are_left_out(tmp_path, name):
    made(tmp_path, f"{name}/a.png", f"x/{name}/y/a.png", "x/a.png", "x/thumb.png", "thumb_nuts/a.png")
    assert listing.directories(tmp_path) == ["thumb_nuts", "x"]
    assert listing.images_below(tmp_path) == ["thumb_nuts/a.png", "x/a.png", "x/thumb.png"]
    assert listing.images(tmp_path / name) == ["a.png"], "a root may have such a name"


def test_a_choice_takes_and_leaves_files_and_directories(tmp_path):
    made(tmp_path, "a/1.png", "a/1_mask.png", "b/2.png", "b/old/3.png", "4.png")
    assert listing.images_below(tmp_path, Choice(tmp_path)) == [
        "4.png",
        "a/1.png",
        "a/1_mask.png",
        "b/2.png",
        "b/old/3.png",
    ]
    masks = Choice(tmp_path, exclude=("*_mask.png", "old"))
    assert listing.images_below(tmp_path, masks) == ["4.png", "a/1.png", "b/2.png"]
    assert listing.directories(tmp_path / "b", masks) == []
    assert listing.images_below(tmp_path, Choice(tmp_path, include=("b",))) == ["b/2.png", "b/old/3.png"]
    both = Choice(tmp_path, include=("a", "b"), exclude=("b/old",))
    assert listing.images_below(tmp_path, both) == ["a/1.png", "a/1_mask.png", "b/2.png"]
    assert listing.images(tmp_path / "a", both) == ["1.png", "1_mask.png"]
    assert listing.images(tmp_path / "a", Choice(str(tmp_path), include=("b",))) == []


def test_what_is_left_aside_is_counted_by_suffix(tmp_path):
    made(
        tmp_path,
        "a.png",
        "b.heic",
        "c.HEIC",
        "d.raw",
        "e.txt",
        "f.csv",
        "g",
        ".h.heic",
        "x.heic/",
        "x/i.heic",
        "j.json",
    )
    assert listing.left_aside(tmp_path) == {"": 1, ".heic": 2, ".raw": 1}
    assert listing.left_aside(tmp_path, Choice(tmp_path, exclude=("*.raw", "g"))) == {".heic": 2}


def test_links_back_are_not_followed(tmp_path):
    made(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/self").symlink_to(tmp_path / "a")
    assert listing.images_below(tmp_path / "a") == ["1.png"]
    (tmp_path / "a/over").symlink_to(tmp_path / "b")  # each leads to the other
    (tmp_path / "b/back").symlink_to(tmp_path / "a")
    assert listing.images_below(tmp_path / "a") == ["1.png", "over/2.png"]
    assert listing.images_below(tmp_path) == ["a/1.png", "a/over/2.png", "b/2.png", "b/back/1.png"]


def test_a_link_without_end_is_one_sentence_or_a_bad_image(tmp_path):
    (tmp_path / "loop.png").symlink_to("loop.png")
    assert listing.images(tmp_path) == ["loop.png"]  # for `read_image` to tell about
    (tmp_path / "loop").symlink_to("loop")
    for function in (listing.images, listing.directories, listing.images_below, listing.left_aside):
        with pytest.raises(
            InputError, match=rf"^directory '{tmp_path}' cannot be listed: Too many.*, '{tmp_path}/loop'$"
        ):
            function(tmp_path)
    with pytest.raises(InputError, match=rf"^directory '{tmp_path}/loop' cannot be listed: Too many"):
        listing.images(tmp_path / "loop")


def test_what_cannot_be_seen_is_named(tmp_path, monkeypatch):
    (tmp_path / "loop").symlink_to("loop")
    made(tmp_path, "file")
    assert listing.is_directory(tmp_path) and listing.exists(tmp_path / "file")
    for path in ("gone", "file/below", "loop", "loop/below", "x" * 300):
        assert not listing.is_directory(tmp_path / path) and not listing.exists(tmp_path / path)
    assert not listing.is_directory(tmp_path / "file")

    def broken(path, **options):
        raise OSError(13, os.strerror(13), str(path))

    monkeypatch.setattr("os.stat", broken)
    for function in (listing.is_directory, listing.exists, lambda path: listing.require(path, [], "images")):
        with pytest.raises(InputError, match=r"^'private' cannot be looked at: Permission denied$"):
            function("private")


def test_what_cannot_be_listed_is_named(tmp_path, monkeypatch):
    made(tmp_path, "file.png")
    for path, reason in [("gone", "No such file"), ("file.png", "Not a directory")]:
        with pytest.raises(InputError, match=rf"^directory '{tmp_path}/{path}' cannot be listed: {reason}[^\n]*$"):
            listing.images(tmp_path / path)

    def broken(path):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr("os.scandir", broken)
    for number in (13, 5, 116):
        with pytest.raises(InputError, match=rf"^directory '{tmp_path}' cannot be listed: {os.strerror(number)}"):
            listing.directories(tmp_path)
