from workflow_scripts.job import job

from pathlib import Path

from swsa_core.basics.errors import InputError
from swsa_core.basics.wording import plural
from swsa_core.files.partials import is_written, leftovers

LOCKS = Path(".snakemake", "locks")

with job(snakemake) as mine:
    if any(LOCKS.glob("*.lock")):
        raise InputError(
            f"{LOCKS} says that Snakemake runs in this directory, perhaps for other targets of the same command, and its jobs "
            "go on with what they began: wait for its end, or run with --unlock if it was killed, then ask for clean_partials "
            "alone"
        )
    results = mine.settings["results"]
    removed = size = 0
    for path in leftovers(results):
        if is_written(path):
            print(f"{path} stays: a process writes it")
            continue
        size += path.stat().st_size
        path.unlink()
        removed += 1
    print(
        f"{plural(removed, 'file')} of interrupted jobs removed below {results}, {size:,} bytes. What they held of finished "
        "rows is given up: their jobs begin anew."
        if removed
        else f"No file of an interrupted job lies below {results}."
    )
