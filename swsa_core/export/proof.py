"""An exported graph beside the detector that it was made of: the same images, the same batches, scores and seconds of both."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.detect.detector import Detector, Part, Scored, Seen, prepared
from swsa_core.embedding.embed import in_batches

BATCH = 32  # images at a time, of both
TOLERANCE = 1e-4  # of the range of the scores


class Proof(NamedTuple):
    """How a graph and its detector compare on n images.

    difference: the largest of the scores, where one below all scores of the normal images counts as their lowest: the log of
    the distance of an image to itself is that of rounding. span: the range of the scores, those of the normal images among
    them. alarms: on how many images the two disagree whether it is one. detector, graph: images per second, without reading.
    """

    n: int
    difference: float
    span: float
    alarms: int
    detector: float
    graph: float


Session = Callable[[list[np.ndarray]], Sequence[np.ndarray]]
"""Function of a batch of each input to score, p and alarm (n,)."""


def session_of(path: Path, threads: int, fixed: bool = False) -> Session:
    """The graph in a file, in ONNX Runtime on the CPU; fixed: it takes one image at a time."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def run(batch: list[np.ndarray]) -> Sequence[np.ndarray]:
        if not fixed:
            return session.run(None, dict(zip(names, batch, strict=True)))
        rows = zip(*batch, strict=True)
        parts = [session.run(None, dict(zip(names, (one[None] for one in row), strict=True))) for row in rows]
        return [np.concatenate(values) for values in zip(*parts, strict=True)]

    return run


def prove(
    session: Session,
    detector: Detector,
    part: Part,
    images: Sequence[str],
    rate: float,
    names: list[str],
    mirrored: bool = False,
) -> Proof:
    """`Proof` of a task's graph; names: of the networks, in the order of the graph's inputs.

    mirrored: whether the images are turned left to right, so that normal images are not those of the bank.
    Raises InputError for an image that cannot be read, and for scores that differ by more than `TOLERANCE` of their range.
    """
    batches = list(_batches(detector, images, names))
    if mirrored:
        batches = [[np.ascontiguousarray(pixels[:, :, ::-1]) for pixels in batch] for batch in batches]
    answers = partial(_answer, detector, part, names)
    answers(batches[0]), session(batches[0])  # both look for their ways of computing at the first batch
    started = time.perf_counter()
    expected = [answers(batch) for batch in batches]
    middle = time.perf_counter()
    found = [session(batch) for batch in batches]
    ended = time.perf_counter()
    scores, p = (np.concatenate([getattr(one, name) for one in expected]) for name in ("scores", "p"))
    of_graph, _, alarms = (np.concatenate(values) for values in zip(*found, strict=True))
    lowest = part.normals.min()
    counted, of_graph = (np.maximum(values, lowest) for values in (scores, of_graph))
    span = float(np.ptp(np.concatenate([part.normals, counted])))
    n, difference = len(images), float(np.abs(of_graph - counted).max())
    proof = Proof(
        n,
        difference,
        span,
        int((alarms != (p <= rate * (1 + 1e-9))).sum()),
        n / (middle - started),
        n / (ended - middle),
    )
    if not difference <= TOLERANCE * span:
        raise InputError(
            f"the graph's scores differ from the detector's by up to {difference:.3g}, more than {TOLERANCE:g} of their range "
            f"{span:.3g}: the network computes otherwise as ONNX, so use the detector through `python -m swsa_core.detect`"
        )
    return proof


def table(proof: Proof) -> str:
    """A proof as a Markdown table."""
    rows = [
        ("images compared", f"{proof.n:,}"),
        ("largest difference of a score", f"{proof.difference:.2g}"),
        ("the same, of the range of the scores", f"{proof.difference / proof.span:.1e}"),
        ("images whose verdicts differ", f"{proof.alarms:,}"),
        ("detector, images per second", f"{proof.detector:.1f}"),
        ("ONNX Runtime, images per second", f"{proof.graph:.1f}"),
    ]
    return "\n".join(["| | |", "|---|---:|", *(f"| {name} | {value} |" for name, value in rows)])


def _batches(detector: Detector, images: Sequence[str], names: list[str]) -> Iterator[list[np.ndarray]]:
    """The images as each network gets them, `BATCH` at a time."""
    transforms = {name: detector.backbones[name].transform for name in names}
    for start in range(0, len(images), BATCH):
        found = [prepared(images, transforms, row) for row in range(start, min(start + BATCH, len(images)))]
        if reason := next((reason for _, reason in found if reason), None):
            raise InputError(f"{reason}; name other images by --images")
        yield [np.stack([pixels[name] for pixels, _ in found]) for name in names]


def _answer(detector: Detector, part: Part, names: list[str], batch: list[np.ndarray]) -> Scored:
    found: dict[tuple[str, bool], np.ndarray] = {}
    for name, pixels in zip(names, batch, strict=True):
        given, _ = in_batches(detector.backbones[name], pixels, BATCH, print)
        found |= {(name, kind > 0): values for kind, values in enumerate(given)}
    n = len(batch[0])
    return detector.scored(part, Seen(list(range(n)), [""] * n, found))
