"""What damage to the files of a finished study does: each is damaged in many ways and read as its stages read it.

Prints a table in Markdown: for each kind of file how many damages ended in one sentence with the file's name and what to do,
were read as if nothing were wrong with the same contents, in a traceback (or the end of the process), or in other contents in
silence; then the same for files without checksums, as older versions left them.

    snakemake --cores 2 ...                                   # any finished study
    python benchmarks/damaged_files.py [results] [--flips 8] [--files 2]
"""

import argparse
import multiprocessing
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from reliability.damages import OUTCOMES, damaged, files_of, outcome, write_network

from swsa_core.files import layout
from swsa_core.files.checksums import record_of, sidecar

TIMEOUT = 60  # seconds after which a reader is taken to hang


def read_apart(damage):
    """`outcome` in a process of its own, which a damaged file may end."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    reader = context.Process(target=lambda: theirs.send(outcome(damage.read, damage.path, damage.expected)))
    reader.start()
    theirs.close()
    try:
        if ours.poll(TIMEOUT):
            return ours.recv()
        return "traceback", "it hangs"
    except EOFError:
        return "traceback", "the process ended"
    finally:
        reader.kill()
        reader.join()


def table(results, arguments, checksums, show):
    """Lines of a table in Markdown."""
    found = {}
    for damage in damaged(results, arguments.seed, arguments.flips, arguments.files, checksums):
        # with a checksum nothing that is damaged is parsed
        what, told = outcome(damage.read, damage.path, damage.expected) if checksums else read_apart(damage)
        found.setdefault(damage.kind, Counter())[what] += 1
        if show and what in ("traceback", "silent"):
            print(f"{what}: {damage.kind}, {damage.what}: {told[:300]}", file=sys.stderr)
    total = sum(found.values(), Counter())
    yield f"| kind | damages | {' | '.join(OUTCOMES)} |"
    yield "|---|" + "---:|" * (len(OUTCOMES) + 1)
    for kind, counts in [*found.items(), ("**all**", total)]:
        yield f"| {kind} | {counts.total()} | {' | '.join(str(counts[one]) for one in OUTCOMES)} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="?", type=Path, default=Path("results"))
    parser.add_argument("--flips", type=int, default=8, help="bits that are flipped, each alone, in every file")
    parser.add_argument("--files", type=int, default=2, help="files of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="name each traceback and silent damage")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:  # the study itself is left alone
        copy = Path(shutil.copytree(arguments.results, Path(folder) / "results"))
        for number in range(2):  # what a study without sources that train lacks
            write_network(layout.at(str(copy), "trained", dataset="made", source="made", text=str(number)), number)
        for path in (path for paths in files_of(copy).values() for path in paths if not sidecar(path).exists()):
            sidecar(path).write_text(record_of(path, path))  # of a study that an older version made
        print("With checksums:", "", *table(copy, arguments, True, True), sep="\n")
        print("\nWithout:", "", *table(copy, arguments, False, arguments.show), sep="\n")


if __name__ == "__main__":
    main()
