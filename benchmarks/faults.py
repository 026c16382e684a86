"""Jobs and Snakemakes of a small study are killed, ended and interrupted; is what the study makes in the end still the same?

    python benchmarks/faults.py --times 10

injects every fault of tests/reliability/faults.py that often, at random moments of random jobs, and prints a Markdown table:
how often each was injected, how often the same command went on (with --unlock first where Snakemake asks for it) without
making anything anew that was finished, and how often every result was that of an undisturbed study, byte by byte. The study is
run with one fault after another, in one stage after another, until each was injected; --at-once studies side by side. Nothing
is kept. --only takes a part of a fault's name, as "SIGINT"; --small takes a study without a network, in a third of the time.
The status is 1 where a fault was not survived.
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = map(str, [ROOT, ROOT / "tests"])

from reliability.faults import CONFIG, FAULTS, SMALL, Fault, Outcome, Workflow, disturbed, take_interrupts  # noqa: E402

COLUMNS = ("fault", "stages", "injected", "survived", "identical")


def table(outcomes: list[Outcome]) -> str:
    """Markdown: a row for each fault, and the total."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|---|---|---|---|"]
    for fault in dict.fromkeys(outcome.fault for outcome in outcomes):
        lines.append(row(str(fault), [outcome for outcome in outcomes if outcome.fault == fault]))
    return "\n".join([*lines, row("all", outcomes, stages=False)])


def row(name: str, outcomes: list[Outcome], stages: bool = True) -> str:
    """One row: of the same outcomes, how many were injected, survived and identical."""
    where = sorted({outcome.stage for outcome in outcomes})
    counts = [sum(getattr(outcome, column) for outcome in outcomes) for column in COLUMNS[2:]]
    return "| " + " | ".join([name, ", ".join(where) if stages else f"{len(where)} stages", *map(str, counts)]) + " |"


def injected(
    config: dict, reference: Workflow, folder: Path, waiting: list[Fault], draws: np.random.Generator
) -> list[Outcome]:
    """What came of all the faults, in as many studies as that takes, each in a directory of its own that is gone then."""
    outcomes = []
    while waiting:
        with tempfile.TemporaryDirectory(dir=folder) as other:
            outcomes += disturbed(Workflow(Path(other) / "study", config), reference, waiting, draws)
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=10, help="how often each fault is injected (10)")
    parser.add_argument("--only", default="", help="a part of the name of the faults that are wanted")
    parser.add_argument("--seed", type=int, default=0, help="of the jobs and moments that are drawn (0)")
    parser.add_argument(
        "--at-once", type=int, default=1, help="studies that are run side by side, with two cores each (1)"
    )
    parser.add_argument("--small", action="store_true", help="a study without a network")
    arguments = parser.parse_args()
    wanted = [fault for fault in FAULTS if arguments.only in str(fault)]
    if not wanted:
        parser.error(f"--only: no fault has {arguments.only!r} in its name, which are: {'; '.join(map(str, FAULTS))}")
    take_interrupts()
    config = SMALL if arguments.small else CONFIG
    draws, started, at_once = np.random.default_rng(arguments.seed), time.monotonic(), arguments.at_once
    waiting = [wanted[i] for _ in range(arguments.times) for i in draws.permutation(len(wanted))]
    with tempfile.TemporaryDirectory() as folder:
        reference = Workflow(Path(folder) / "reference", config)
        status, output = reference.run()
        if status:
            sys.exit(f"the undisturbed study failed:\n{output}")
        with ThreadPoolExecutor(at_once) as pool:
            parts = [waiting[i::at_once] for i in range(at_once)]
            found = pool.map(partial(injected, config, reference, Path(folder)), parts, draws.spawn(at_once))
            outcomes = [outcome for each in found for outcome in each]
    outcomes.sort(key=lambda outcome: FAULTS.index(outcome.fault))
    print(f"\n{table(outcomes)}\n\n{(time.monotonic() - started) / 60:.0f} minutes")
    failed = [outcome for outcome in outcomes if not (outcome.survived and outcome.identical)]
    for outcome in failed:
        print(f"\n{outcome.fault}, {outcome.log}: {'; '.join(outcome.problems)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
