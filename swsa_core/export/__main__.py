"""Export a detector as an ONNX file, and prove that it scores as before.

    python -m swsa_core.export DETECTOR --onnx FILE [--task NAME] [--false-alarms 0.05] [--images IMAGES…]

The graph takes images as the network's own transform gives them, (n, crop, crop, 3) uint8, RGB, under the name `image` (with
several networks image_<network>), and gives `score`, `p` and `alarm` (n,): networks, heads, ensemble and alarm level are in it.
The file says in its metadata what the transforms are. Scores and speed of both are then printed as a table, of the normal
images, mirrored since the bank holds themselves, or of IMAGES (files, folders, @list.txt). A file whose scores differ is not
kept. Needs `pip install 'swsa_core[export]'`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from swsa_core.basics.errors import InputError
from swsa_core.detect.detector import Detector, Part
from swsa_core.detect.folder import load_detector
from swsa_core.detect.mapping import undrawn
from swsa_core.detect.run import found_images, wanted_rate
from swsa_core.files import listing
from swsa_core.files.reading import file_of
from swsa_core.files.text import replacing

OPSET = 18  # of the ONNX standard, December 2022: what runtimes of today read
LARGEST = 2**31  # bytes of an ONNX file
NEEDED = ("onnx", "onnxscript", "onnxruntime")


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m swsa_core.export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("detector", type=Path, help="folder of the detector, <results>/<data set>/detector")
    parser.add_argument("--onnx", type=Path, required=True, metavar="FILE", help="where the graph is written")
    parser.add_argument("--task", help="which task's graph, where the detector has several")
    parser.add_argument("--false-alarms", type=float, help="wanted share of false alarms at which `alarm` is true")
    parser.add_argument("--images", nargs="+", default=[], help="compare on these, in place of the normal images")
    parser.add_argument("--threads", type=int, default=2, help="threads of both when they are compared")
    given = parser.parse_args(arguments)
    try:
        # Functions of a user are refused below, before they would run: none is a network.
        loaded = undrawn(load_detector(given.detector, "cpu", trust_code=True))
        part = loaded.part(given.task)
        detector = with_members(loaded, part)
        rate = wanted_rate(part, given.false_alarms)
        print(export(detector, part, rate, given.onnx, found_images(given.images), given.threads))
    except InputError as error:
        print(f"export: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("export: interrupted", file=sys.stderr)
        return 130
    return 0


def with_members(detector: Detector, part: Part) -> Detector:
    """The detector of those tasks that have the members of one of them: no other networks are loaded."""
    parts = {name: one for name, one in detector.parts.items() if one.members == part.members}
    return replace(detector, members={name: detector.members[name] for name in part.members}, parts=parts)


def export(detector: Detector, part: Part, rate: float, path: Path, images: Sequence[str], threads: int = 1) -> str:
    """Write the graph of a task to a file, and return what proves it, Markdown; images: paths, compared; none: the normal ones.

    rate: share of false alarms at which `alarm` is true. Raises InputError, and leaves no file, for what cannot be exported.
    """
    check_installed()
    import torch

    from swsa_core.export.graph import Graph, as_program, check_exportable, input_names, size_of
    from swsa_core.export.proof import prove, session_of, table

    compared = [part.as_read(image) for image in images] or normals_of(part)
    check_exportable({name: detector.members[name] for name in part.members})
    torch.set_num_threads(threads)
    graph = Graph(detector, part, rate)
    if size_of(graph) >= LARGEST:
        raise InputError(
            f"the graph has {size_of(graph) / 1e9:.1f} GB, an ONNX file holds less than 2: take a smaller network"
        )
    program, any_number = as_program(graph, OPSET)
    inputs = dict(
        zip(input_names(graph), (str(detector.backbones[name].transform) for name in graph.names), strict=True)
    )
    about = {"dataset": detector.about["dataset"], "task": part.name, "false_alarms": rate, "transforms": inputs}
    program.model.metadata_props["swsa"] = json.dumps(about, ensure_ascii=False)
    with replacing(path, size_of(graph), checksum=False) as finished:
        program.save(finished, external_data=False)
        session = session_of(finished, threads, not any_number)
        proof = prove(session, detector, part, compared, rate, graph.names, mirrored=not images)
    n = "n" if any_number else "1"
    shapes = "; ".join(
        f"`{name}` ({n}, {side}, {side}, 3) uint8, {inputs[name]}"
        for name, side in zip(inputs, graph.sides, strict=True)
    )
    return f"{path}: opset {OPSET}, alarms at {rate:.2g} false alarms wanted. Input: {shapes}\n\n{table(proof)}"


def normals_of(part: Part) -> list[str]:
    """Paths of a task's normal images. Raises InputError where one is not there any more."""
    gone = [path for path in part.paths if not listing.exists(file_of(path))]
    if gone:
        raise InputError(
            f"{len(gone)} of {len(part.paths)} normal images are not where they were, first {file_of(gone[0])!r}: name images "
            "to compare on by --images"
        )
    return part.paths


def check_installed() -> None:
    """Raise InputError where a package of the extra is missing."""
    if lacking := [name for name in NEEDED if find_spec(name) is None]:
        raise InputError(f"{', '.join(lacking)} is not installed: pip install 'swsa_core[export]'")


if __name__ == "__main__":
    sys.exit(main())
