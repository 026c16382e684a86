"""Thousands of changed configs and image files: what each of them ends in.

A config is one of the complete ones of this repository, changed at random, beside small data sets; it goes as far as the
Snakefile takes it before the first job: validation, the study on disk, its checks, and the inputs of the rules. An image is a
small file of one of many formats, changed at random, in a process that may use little memory. Each must be accepted, or
refused with a sentence. Prints a table; ends with status 1 where a case ended in a traceback (or killed the process), took too
long, or was accepted with a wrong result: a config that is another one when it is validated again, or one that JSON cannot
hold; an image of another size than its header says, or with other pixels when it is read again.

    python benchmarks/fuzz.py [--configs 10000] [--images 5000] [--seed 0] [--workers 2] [--show 5]
"""

import argparse
import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

import layouts  # noqa: E402
import mutations  # noqa: E402

from swsa_core.basics.errors import InputError  # noqa: E402

OUTCOMES = ("accepted", "refused with a sentence", "traceback", "hang", "wrong")
LIMIT = 10.0  # seconds of CPU time that a case may take; ten times as long by the clock
MEMORY = 1 << 30  # bytes of address space beyond what a process has before its first case
MOST_PIXELS = (
    4_000_000  # `max_pixels` of the data set whose images are read; those of an image file that is changed are 1517
)
LONGEST_LINE = 5000


class Wrong(Exception):
    """A result that was accepted and must not be."""


# Configs


def complete_configs() -> dict[str, dict]:
    """{file: complete config} of those in the repository that stand alone."""
    files = [ROOT / "config.yaml", *sorted((ROOT / "config").glob("*.yaml"))]
    return {file.name: yaml.safe_load(file.read_text(encoding="utf-8")) for file in files}


def make_data(directory: Path) -> None:
    """Small data sets of empty files where the configs of the repository look for theirs."""
    many = {"train": 24, "make": layouts.touch}
    data = directory / "data"
    layouts.cub(data / "CUB_200_2011", ("001.Black_footed_Albatross", "002.Laysan_Albatross"), **many)
    layouts.flowers(data / "flowers102", **many)
    layouts.mvtec_ad(data / "mvtec_ad", ("cable", "bottle"), **many)
    layouts.visa(data / "visa", **many)
    layouts.tiny_imagenet(data / "tiny-imagenet-200", images=1000, make=layouts.touch)
    layouts.split_folder(data / "mine", **many)
    layouts.classes(data / "classes", **many)


@cache
def valid_configs() -> list[dict]:
    """Those that are changed; the readers of official data sets take what `make_data` made for the whole."""
    configs = list(complete_configs().values())
    for config in configs:
        for section in config["datasets"].values():
            if section["kind"] in ("cub", "flowers", "mvtec_ad", "visa"):
                section["allow_missing"] = True
    own = {"kind": "classes", "root": "data/classes", "on_leak": "drop", "exclude": ["*.bmp"], "value_range": [0, 4095]}
    return [
        *configs,
        configs[0] | {"datasets": {"own": own, **configs[0]["datasets"]}, "licences": ["mit", "apache-2.0"]},
    ]


def check_config(number: int, seed: int) -> str:
    """The outcome of a config, the one with this number."""
    random = Random(f"{seed} config {number}")
    return config_outcome(mutations.mutated_config(random.choice(valid_configs()), random))


def config_outcome(config: Any) -> str:
    try:
        plain = study_inputs(config)
    except InputError as error:
        check_sentences(str(error), config)
        return "refused with a sentence"
    json.dumps(plain, allow_nan=False)
    return "accepted"


def study_inputs(config: Any) -> dict[str, Any]:
    """The validated config, after all that the Snakefile does with a config before the first job."""
    from swsa_core.anomalies import SOURCES
    from swsa_core.candidates import family_of
    from swsa_core.config.check import check
    from swsa_core.config.config import validate
    from swsa_core.config.study import study

    plain = validate(config)
    given = study(plain)
    check(given)
    for dataset, tasks in given.tasks.items():
        given.index_inputs(dataset)
        for task in list(tasks)[:2]:
            given.support_inputs(dataset, task)
    for pool in given.pools:
        given.pool_inputs(pool)
    for source in given.generated:
        if network := SOURCES[source].network:
            network.files(given.config["sources"][source])
    for backbone in given.backbones.values():
        family_of(backbone).files(backbone)
    json.dumps(given.leaves, allow_nan=False)
    again = validate(plain)
    if again != plain:
        raise Wrong(f"validated again, it differs in {[key for key in plain if plain[key] != again.get(key)]}")
    return plain


def check_sentences(text: str, config: Any = ()) -> None:
    """Raise Wrong unless an error's text is made of lines that a user can read."""
    for line in text.split("\n"):
        strange = {letter for letter in line if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")}
        if not line.strip() or strange or len(line) > LONGEST_LINE or "Traceback" in line or "pydantic" in line:
            raise Wrong(f"no readable sentence: {line[:300]!r} of {len(line)} characters")


# Images


@cache
def valid_images() -> list[mutations.ImageFile]:
    return mutations.image_files()


def check_image(number: int, seed: int) -> str:
    """The outcome of an image file, the one with this number; it is read in the working directory."""
    return image_outcome(mutations.mutated_image(valid_images(), Random(f"{seed} image {number}")))


def image_outcome(file: mutations.ImageFile) -> str:
    import numpy as np

    from swsa_core.files.images import header, read_image, significant_bits
    from swsa_core.files.reading import Reading, address

    path = Path(f"{os.getpid()}.{file.suffix}")
    path.write_bytes(file.content)
    where = address(path, Reading(max_pixels=MOST_PIXELS))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            told = _or_refused(header, where)
            _or_refused(significant_bits, where)
            image = _or_refused(read_image, where)
            ranged = _or_refused(read_image, address(path, Reading(value_range=(0, 1000), max_pixels=MOST_PIXELS)))
            again = _or_refused(read_image, where)
    finally:
        path.unlink()
    for one in (image, ranged):
        if one is not None and (one.ndim != 3 or one.shape[2] != 3 or one.dtype != np.uint8 or not one.size):
            raise Wrong(f"an image of {one.shape} {one.dtype}")
        sizes = [] if told is None else [(told.height, told.width)]
        if file.content.startswith(b"\x89PNG"):  # which may say behind its pixels that it is to be turned
            sizes += [size[::-1] for size in sizes]
        if one is not None and told is not None and one.shape[:2] not in sizes:
            raise Wrong(f"an image of {one.shape[:2]}, whose header says {(told.height, told.width)}")
        if one is not None and told is None:
            raise Wrong("an image whose header is refused")
    if (image is None) != (again is None) or (image is not None and not (image == again).all()):
        raise Wrong("read again, the image differs")
    return "refused with a sentence" if image is None else "accepted"


def _or_refused(function: Callable, path: str) -> Any:
    """What a function returns of a file; None where it is refused by a sentence that names the file."""
    try:
        return function(path)
    except InputError as error:
        check_sentences(str(error))
        if path.rpartition(":")[2] not in str(error):
            raise Wrong(f"the sentence does not name the file: {error}") from error
        return None


# Processes


def tried(
    check: Callable[[int, int], str], numbers: list[int], seed: int, directory: str
) -> Iterator[tuple[int, str, str]]:
    """(number, outcome, what is to be told of it) of cases, in processes that are replaced where one hangs or dies."""
    context = multiprocessing.get_context("spawn")
    waiting = list(numbers)
    while waiting:
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, check, waiting, seed, directory), daemon=True)
        process.start()
        theirs.close()
        if not ours.poll(300) or ours.recv() != "ready":
            raise RuntimeError("a process cannot begin: see above")
        while waiting:
            try:
                told = ours.recv() if ours.poll(10 * LIMIT) else ("hang", f"ended after {10 * LIMIT:.0f} s")
            except EOFError:
                told = ("traceback", "the process died")
            yield waiting.pop(0), *told
            if told[1].startswith(("ended", "the process")):
                break
        process.kill()
        process.join()


def _work(pipe, check, numbers, seed, directory):
    os.chdir(directory)
    check(-1, seed)  # imports what is needed
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    signal.signal(signal.SIGPROF, _too_long)
    pipe.send("ready")
    for number in numbers:
        pipe.send(outcome_of(partial(check, number, seed)))


def outcome_of(case: Callable[[], str]) -> tuple[str, str]:
    """(outcome, what is to be told of it) of one case, within `LIMIT`."""
    signal.setitimer(signal.ITIMER_PROF, LIMIT, 0.1)  # again and again, as some code passes over an exception
    try:
        return case(), ""
    except TimeoutError:
        return "hang", "".join(traceback.format_exc(limit=-6))[-1500:]
    except Wrong as error:
        return "wrong", str(error)
    except BaseException:
        return "traceback", traceback.format_exc()[-1500:]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _too_long(*_):
    raise TimeoutError


def run(kind: str, check: Callable, cases: int, seed: int, workers: int, directory: str, show: int) -> Counter:
    """{outcome: cases}; the first `show` of those that fail are told."""
    counts, shown = Counter(), 0
    shares = [list(range(worker, cases, workers)) for worker in range(workers)]
    with ThreadPoolExecutor(workers) as pool:
        for found in pool.map(lambda share: list(tried(check, share, seed, directory)), shares):
            for number, outcome, text in found:
                counts[outcome] += 1
                if text and shown < show:
                    shown += 1
                    print(f"{kind} {number}: {outcome}\n{text}\n", file=sys.stderr)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--configs", type=int, default=10_000)
    parser.add_argument("--images", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--show", type=int, default=5, help="failing cases of each kind that are told")
    given = parser.parse_args()
    print(f"| kind | cases | {' | '.join(OUTCOMES)} | minutes |\n|---|{'---:|' * (len(OUTCOMES) + 2)}")
    failed = False
    with tempfile.TemporaryDirectory() as directory:
        make_data(Path(directory))
        for kind, check, cases in (("config", check_config, given.configs), ("image", check_image, given.images)):
            start = time.monotonic()
            counts = run(kind, check, cases, given.seed, given.workers, directory, given.show)
            numbers = " | ".join(f"{counts[outcome]:,}" for outcome in OUTCOMES)
            print(f"| {kind} | {cases:,} | {numbers} | {(time.monotonic() - start) / 60:.1f} |", flush=True)
            failed |= any(counts[outcome] for outcome in OUTCOMES[2:])
    sys.exit(failed)


if __name__ == "__main__":
    main()
