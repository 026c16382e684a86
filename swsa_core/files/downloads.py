"""Published files: resumable downloads whose size and digest are checked, and one sentence when they fail."""

import os
import re
import time
from collections.abc import Callable
from hashlib import file_digest
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from swsa_core.basics.errors import InputError


class Published(NamedTuple):
    """A file that others publish: its size in bytes, and a digest if one is known."""

    url: str
    size: int
    sha256: str | None = None
    md5: str | None = None

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    @property
    def content(self) -> str:
        """Size and digest, as a sentence names them."""
        digest = f" with SHA-256 {self.sha256}" if self.sha256 else f" with MD5 {self.md5}" if self.md5 else ""
        return f"{self.size:,} bytes{digest}"


class License(NamedTuple):
    """A licence that a user accepts before a publication is fetched."""

    name: str
    terms: str
    url: str


class Publication(NamedTuple):
    """A published data set: its directory is `inside` of the archive `files[0]`, with the other files put into it.

    Sizes are those of the publishers' servers, digests those that torchvision, anomalib or the publisher give.
    """

    title: str
    page: str
    files: tuple[Published, ...]
    inside: str = ""
    license: License | None = None


PUBLISHED = {
    # Size and MD5 are those of the publisher's server; the SHA-256 is of the file with that MD5.
    "adm_imagenet_256": Published(
        "https://openaipublic.blob.core.windows.net/diffusion/jul-2021/256x256_diffusion_uncond.pt",
        2_211_383_297,
        "a37c32fffd316cd494cf3f35b339936debdc1576dad13fe57c42399a5dbc78b1",
    ),
}


PLACE = "resources/weights/{name}.pt"  # of a published model, below the working directory


def published_at(path: Path | str) -> Published | None:
    """The `Published` file that belongs at `path`, or None for any other path."""
    parts = Path(path).parts[-3:]
    return next((file for name, file in PUBLISHED.items() if parts == Path(PLACE.format(name=name)).parts), None)


def check_file(path: Path | str, published: Published) -> None:
    """Raise InputError unless the file at `path` has the size and the digest of the published one."""
    if problem := difference(Path(path), published):
        raise InputError(
            f"{path} is not the file of {published.url}, {problem}; expected at {path}: {published.content}: delete it and "
            "run again"
        )


def download(
    url: str,
    path: Path | str,
    size: int,
    sha256: str | None = None,
    attempts: int = 3,
    pause: float = 1.0,
    timeout: float = 60,
    progress: Callable[[int, int], None] | None = None,
    md5: str | None = None,
) -> Path:
    """Fetch `url` to `path`, unless it is there, and return the path; `size` (bytes) and the digests given must agree.

    The bytes so far are in `path`.partial, from which a later attempt or call goes on. `attempts` in a row that bring
    nothing new end the download. progress: called with (bytes so far, size).
    Raises InputError with the address, the expected place, size and digest.
    """
    path, published = Path(path), Published(url, size, sha256, md5)
    expected = f"expected at {path}: {published.content}"
    if path.exists():
        check_file(path, published)
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    if _length(partial) > size:
        partial.unlink()
    most, failures = _length(partial), 0
    while _length(partial) != size:
        try:
            _fetch(url, partial, size, timeout, progress)
            reason = "the connection broke off"
        except HTTPError as error:
            reason = f"HTTP status {error.code}"
            if error.code == 416:  # the bytes asked for are not there: begin anew
                partial.unlink(missing_ok=True)
            elif error.code < 500 and error.code not in (408, 429):
                failures = attempts
        except InputError as error:
            reason, failures = str(error), attempts
        except (OSError, HTTPException) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        have = _length(partial)
        if have > size:
            partial.unlink()
            raise InputError(f"{url} sends more than {size:,} bytes; {expected}")
        failures = 0 if have > most else failures + 1
        most = max(most, have)
        if have < size and failures >= attempts:
            raise InputError(
                f"{url} cannot be fetched ({reason}; {have:,} of {size:,} bytes are here); {expected}: "
                "run again to go on, or put the file there yourself"
            )
        if have < size:
            time.sleep(pause * failures)
    if problem := difference(partial, published):
        partial.unlink()
        raise InputError(f"{url} sent wrong bytes, {problem}; {expected}")
    os.replace(partial, path)
    return path


def difference(path: Path, published: Published) -> str:
    """What distinguishes a file from the published one, or ""."""
    if _length(path) != published.size:
        return f"it has {_length(path):,} bytes"
    for name, label in (("sha256", "SHA-256"), ("md5", "MD5")):
        if expected := getattr(published, name):
            with open(path, "rb") as file:
                digest = file_digest(file, name).hexdigest()
            if digest != expected:
                return f"it has {label} {digest}"
    return ""


def _fetch(url, partial, size, timeout, progress):
    """Append the missing bytes of `url` to `partial`, or write it anew where the server cannot resume.

    Raises InputError that says what the server offers, where that is another file.
    """
    start = _length(partial)
    # some servers refuse the name that Python gives by itself
    request = Request(url, headers={"User-Agent": "swsa"} | ({"Range": f"bytes={start}-"} if start else {}))
    with urlopen(request, timeout=timeout) as response:
        first, total = _offered(response)
        if response.headers.get_content_type() == "text/html":
            raise InputError("the server answers with a page of HTML")
        if total not in (size, None):
            raise InputError(f"the server offers {total:,} bytes")
        if first not in (0, start):
            partial.unlink(missing_ok=True)
            raise HTTPException(f"asked for the bytes from {start:,} on, the server sends others")
        with open(partial, "ab" if first else "wb") as file:
            done = first
            while chunk := response.read(1 << 20):
                file.write(chunk)
                done += len(chunk)
                if progress:
                    progress(done, size)
                if done > size:
                    return


def _offered(response):
    """(first byte that an answer holds, size of the whole file), None for what its header does not say."""
    if response.status != 206:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    content = re.fullmatch(r"bytes (\d+)-\d*/(\d+|\*)", response.headers.get("Content-Range", ""))
    if content is None:
        return None, None
    first, total = content.groups()
    return int(first), None if total == "*" else int(total)


def _length(path):
    return path.stat().st_size if path.exists() else 0
