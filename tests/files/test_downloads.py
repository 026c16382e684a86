"""Downloads resume, are checked, and fail with one sentence that says what to do; against a server on this machine."""

import socket
from hashlib import md5, sha256

import numpy as np
import pytest
from local_server import serving

from swsa_core.basics.errors import InputError
from swsa_core.files.downloads import PLACE, PUBLISHED, check_file, download, published_at

CONTENT = np.random.default_rng(0).bytes(3_000_000)
DIGEST = sha256(CONTENT).hexdigest()


@pytest.fixture
def server():
    with serving(CONTENT, "weights.pt") as server:
        yield server


def fetch(server, path, digest=DIGEST, **options):
    return download(server.url, path, len(CONTENT), digest, pause=0, timeout=5, **options)


def test_a_download_arrives_whole_and_once(server, tmp_path):
    seen = []
    path = fetch(server, tmp_path / "resources" / "weights.pt", progress=lambda *state: seen.append(state))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    fetch(server, path)
    assert server.requests == [None]
    assert [file.name for file in path.parent.iterdir()] == ["weights.pt"]


def test_a_connection_that_breaks_off_is_resumed(server, tmp_path):
    server.limit = 1_300_000
    assert fetch(server, tmp_path / "weights.pt").read_bytes() == CONTENT
    assert server.requests == [None, "bytes=1300000-", "bytes=2600000-"]


def test_a_later_call_goes_on_where_an_interrupted_one_stopped(server, tmp_path):
    (tmp_path / "weights.pt.partial").write_bytes(CONTENT[:1_000_000])
    assert fetch(server, tmp_path / "weights.pt").read_bytes() == CONTENT
    assert server.requests == ["bytes=1000000-"]


def test_a_server_that_cannot_resume_starts_again(server, tmp_path):
    server.ranges = False
    (tmp_path / "weights.pt.partial").write_bytes(b"x" * 1000)
    assert fetch(server, tmp_path / "weights.pt").read_bytes() == CONTENT


def test_a_server_that_breaks_off_for_good_is_told_with_what_is_here(server, tmp_path):
    server.ranges, server.limit = False, 1_000_000
    with pytest.raises(InputError) as error:
        fetch(server, tmp_path / "weights.pt")
    expected = (server.url, str(tmp_path / "weights.pt"), DIGEST, "3,000,000 bytes", "1,000,000 of", "run again")
    assert all(part in str(error.value) for part in expected)
    assert len(server.requests) == 4  # the first brought bytes, three in a row brought nothing new
    assert not (tmp_path / "weights.pt").exists()


def test_a_server_that_tells_no_length_is_resumed(server, tmp_path):
    server.length, server.limit = False, 1_300_000
    assert fetch(server, tmp_path / "weights.pt").read_bytes() == CONTENT
    assert server.requests == [None, "bytes=1300000-", "bytes=2600000-"]


@pytest.mark.parametrize("headers", [{}, {"Content-Range": None}, {"Content-Range": "bytes nonsense"}])
def test_other_bytes_than_those_asked_for_are_not_appended(headers, server, tmp_path):
    server.headers, server.rewind = headers, 500
    (tmp_path / "weights.pt.partial").write_bytes(CONTENT[:1000])
    assert fetch(server, tmp_path / "weights.pt").read_bytes() == CONTENT
    assert server.requests == ["bytes=1000-", None]


def test_a_whole_file_in_place_of_the_rest_is_taken(server, tmp_path):
    server.rewind = 1000
    (tmp_path / "weights.pt.partial").write_bytes(b"x" * 1000)
    assert fetch(server, tmp_path / "weights.pt").read_bytes() == CONTENT
    assert server.requests == ["bytes=1000-"]


def test_a_length_that_is_no_number_says_nothing(server, tmp_path):
    server.headers = {"Content-Length": "abc"}
    assert fetch(server, tmp_path / "weights.pt").read_bytes() == CONTENT


@pytest.mark.parametrize("length", [True, False])
def test_a_page_in_place_of_the_file_leaves_what_is_here(length, server, tmp_path):
    partial = tmp_path / "weights.pt.partial"
    partial.write_bytes(CONTENT[:1000])
    server.content, server.length, server.ranges = b"<html>log in</html>", length, False
    server.headers = {"Content-Type": "text/html; charset=utf-8"}
    with pytest.raises(InputError, match=f"page of HTML; 1,000 of .* expected at {tmp_path}.*{DIGEST}"):
        fetch(server, tmp_path / "weights.pt")
    assert partial.read_bytes() == CONTENT[:1000] and len(server.requests) == 1


def test_a_range_that_the_server_does_not_have_begins_anew(server, tmp_path):
    (tmp_path / "weights.pt.partial").write_bytes(CONTENT[:1000])
    server.status = 416
    with pytest.raises(InputError, match="HTTP status 416"):
        fetch(server, tmp_path / "weights.pt")
    assert server.requests == ["bytes=1000-", None, None]


@pytest.mark.parametrize("content", [CONTENT[:-5], CONTENT + b"more"])
@pytest.mark.parametrize("length", [True, False])
def test_too_few_or_too_many_bytes_are_refused(content, length, server, tmp_path):
    server.content, server.length = content, length
    with pytest.raises(InputError, match=r"3,000,000") as error:
        fetch(server, tmp_path / "weights.pt")
    assert all(part in str(error.value) for part in (server.url, str(tmp_path / "weights.pt"), DIGEST))
    assert not (tmp_path / "weights.pt").exists()


def test_wrong_bytes_are_refused_and_not_kept(server, tmp_path):
    server.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    wrong = sha256(server.content).hexdigest()
    with pytest.raises(InputError, match=f"wrong bytes, it has SHA-256 {wrong}; expected at .*{DIGEST}"):
        fetch(server, tmp_path / "weights.pt")
    assert not list(tmp_path.iterdir())
    assert fetch(server, tmp_path / "weights.pt", digest=None).read_bytes() == server.content  # no digest published


def test_an_md5_counts_where_the_publisher_gives_no_other_digest(server, tmp_path):
    right, wrong = (md5(content).hexdigest() for content in (CONTENT, b"other"))
    assert fetch(server, tmp_path / "weights.pt", digest=None, md5=right).read_bytes() == CONTENT
    with pytest.raises(InputError, match=f"wrong bytes, it has MD5 {right}; expected at .* with MD5 {wrong}"):
        fetch(server, tmp_path / "other.pt", digest=None, md5=wrong)
    assert [file.name for file in tmp_path.iterdir()] == ["weights.pt"]


def test_a_wrong_file_in_place_is_not_overwritten(server, tmp_path):
    (tmp_path / "weights.pt").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"it has 4 bytes.*delete it"):
        fetch(server, tmp_path / "weights.pt")
    assert (tmp_path / "weights.pt").read_bytes() == b"mine" and not server.requests


def test_an_address_that_does_not_serve_it(server, tmp_path):
    server.status = 404
    with pytest.raises(InputError, match=r"cannot be fetched \(HTTP status 404"):
        fetch(server, tmp_path / "weights.pt")
    assert len(server.requests) == 1
    for status in (503, 429):
        server.requests, server.status = [], status
        with pytest.raises(InputError, match=f"HTTP status {status}"):
            fetch(server, tmp_path / "weights.pt")
        assert len(server.requests) == 3, "perhaps it is only busy"


def test_offline(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/weights.pt"
    with pytest.raises(
        InputError, match=f"{url} cannot be fetched .*refused.*{tmp_path}.*10 bytes with SHA-256 {DIGEST}"
    ):
        download(url, tmp_path / "weights.pt", 10, DIGEST, pause=0)


def test_published_weights_have_a_size_and_a_digest():
    for published in PUBLISHED.values():
        assert published.url.startswith("https://") and published.size > 0
        assert published.sha256 is None or len(bytes.fromhex(published.sha256)) == 32


def test_a_file_at_the_place_of_a_published_one_is_known(tmp_path):
    name, published = next(iter(PUBLISHED.items()))
    path = tmp_path / PLACE.format(name=name)
    assert published_at(path) is published_at(PLACE.format(name=name)) is published
    assert published_at(tmp_path / path.name) is None
    path.parent.mkdir(parents=True)
    path.write_bytes(b"junk")
    with pytest.raises(InputError, match=f"it has 4 bytes; expected at {path}: .*{published.sha256}"):
        check_file(path, published)
