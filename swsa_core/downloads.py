"""Published files: resumable downloads whose size and digest are checked, and one sentence when they fail."""

import os
import time
from hashlib import file_digest
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from swsa_core.errors import InputError


class Published(NamedTuple):
    """A file that others publish, its size in bytes, and a digest where one is known."""

    url: str
    size: int
    sha256: str | None = None
    md5: str | None = None

    @property
    def name(self):
        return self.url.rpartition("/")[2]


PUBLISHED = {
    # Size and MD5 are those of the publisher's server; the SHA-256 is of the file with that MD5.
    "adm_imagenet_256": Published(
        "https://openaipublic.blob.core.windows.net/diffusion/jul-2021/256x256_diffusion_uncond.pt",
        2_211_383_297,
        "a37c32fffd316cd494cf3f35b339936debdc1576dad13fe57c42399a5dbc78b1",
    ),
}


def download(url, path, size, sha256=None, attempts=3, pause=1.0, timeout=60, progress=None, md5=None):
    """Fetch `url` to `path`, unless it is there, and return the path; `size` (bytes) and the digests given must agree.

    The bytes so far are in `path`.partial, from which a later attempt or call goes on. `attempts` in a row that bring
    nothing new end the download. progress: called with (bytes so far, size).
    Raises InputError with the address, the expected place, size and digest.
    """
    path, published = Path(path), Published(url, size, sha256, md5)
    expected = f"expected at {path}: {size:,} bytes"
    expected += f" with SHA-256 {sha256}" if sha256 else f" with MD5 {md5}" if md5 else ""
    if path.exists():
        if problem := difference(path, published):
            raise InputError(f"{path} is not the file of {url}, {problem}; {expected}: delete it and run again")
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
            reason, failures = f"HTTP status {error.code}", attempts if error.code < 500 else failures
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


def difference(path, published):
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
    """Append the missing bytes of `url` to `partial`, or write it anew where the server cannot resume."""
    start = _length(partial)
    # some servers refuse the name that Python gives by itself
    request = Request(url, headers={"User-Agent": "swsa"} | ({"Range": f"bytes={start}-"} if start else {}))
    with urlopen(request, timeout=timeout) as response:
        resumed = response.status == 206
        total = int(response.headers.get("Content-Length", size)) + (start if resumed else 0)
        if total != size:
            raise InputError(f"{url} offers {total:,} bytes, expected {size:,} for {partial.with_suffix('')}")
        with open(partial, "ab" if resumed else "wb") as file:
            done = start if resumed else 0
            while chunk := response.read(1 << 20):
                file.write(chunk)
                done += len(chunk)
                if progress:
                    progress(done, size)
                if done > size:
                    return


def _length(path):
    return path.stat().st_size if path.exists() else 0
