"""What it costs that results have checksums and are on the disk before they have their names.

Writes 100 small tables, with and without that, reads them in a process that has not read them before, and again, and
verifies one large file. Prints wall and CPU milliseconds a file.

    python benchmarks/files.py [--folder DIR] [--size 1.0]
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from swsa_core.files import checksums, machine, text

N = 100  # files
ROWS = 50  # of a table, about 3 kB


def timed(what, run, n=N):
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    wall, cpu = (time.perf_counter() - wall) / n, (time.process_time() - cpu) / n
    print(f"| {what} | {1000 * wall:.2f} | {1000 * cpu:.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", help="where to write, on the disk to be measured")
    parser.add_argument("--size", type=float, default=1.0, help="of the large file, in GB")
    arguments = parser.parse_args()
    generator = np.random.default_rng(0)
    table = pd.DataFrame(
        {"task": [f"task {i}" for i in range(ROWS)], "auroc": generator.random(ROWS), "n": range(ROWS)}
    )
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        paths = [Path(folder) / f"{i}.csv" for i in range(N)]
        large = Path(folder) / "large.h5"

        def write():
            for path in paths:
                text.write_table(path, table, table.columns)

        def read():
            for path in paths:
                text.read_table(path)

        print("| per file | wall, ms | CPU, ms |\n|---|---:|---:|")
        write()  # what is done once in a process
        machine.os.fsync, fsync = lambda descriptor: None, os.fsync
        checksums.is_recorded, recorded = lambda path: False, checksums.is_recorded
        timed("write a table of 3 kB, without either", write)
        timed("read it, without a checksum", read)
        checksums.is_recorded = recorded
        timed("write it, with a checksum", write)
        machine.os.fsync = fsync
        timed("write it, with a checksum and synced", write)
        timed("read it for the first time, with its checksum", read)
        timed("read it again", read)
        block = generator.bytes(2**24)
        with text.replacing(large) as finished, finished.open("wb") as file:
            for _ in range(round(arguments.size * 1e9) // len(block)):
                file.write(block)
        timed(f"verify a file of {large.stat().st_size:,} bytes for the first time", lambda: checksums.verify(large), 1)
        timed("verify it again", lambda: checksums.verify(large), 1)


if __name__ == "__main__":
    main()
