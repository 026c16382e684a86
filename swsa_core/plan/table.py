"""The table that `snakemake plan` prints: a row per stage, with what its jobs that are left cost."""

from collections.abc import Callable, Iterable

from tabulate import SEPARATING_LINE, tabulate

from swsa_core.basics.wording import estimated_time, with_prefix
from swsa_core.plan.jobs import TABLES
from swsa_core.plan.one_job import Job

Rows = dict[str, dict[str, float]]
"""{row of the table: {what is summed: its sum}}."""
LAST = "tables, figures, report"  # row of all stages after the selection
SUMS = ("jobs", "done", "passes", "flops", "device", "cpu", "disk")
HEADER = ["stage", "jobs", "done", "passes", "FLOP", "device", "CPU", "disk", "memory"]


def totals(planned: Iterable[Job], left: Iterable[Job], seconds: Callable[[Job], float]) -> Rows:
    """{row: {sums of SUMS over its jobs that are left, and the "memory" of the largest}}; "done" are the others.

    planned, left: all `Job`s, and those to do; seconds: function of a job with a network to the time of its device.
    """
    rows: Rows = {}
    for job in planned:
        row = rows.setdefault(_row(job), dict.fromkeys((*SUMS, "memory"), 0))
        row["done"] += 1
    for job in left:
        row = rows[_row(job)]
        row["done"] -= 1
        row["jobs"] += 1
        row["cpu"] += job.start + job.reading
        row["device"] += seconds(job) if job.flops else 0
        for key in ("passes", "flops", "disk"):
            row[key] += getattr(job, key)
        row["memory"] = max(row["memory"], job.memory)
    return rows


def _row(job):
    return LAST if job.stage in TABLES else job.stage


def table(rows: Rows) -> list[str]:
    """Lines of text: the rows of `totals` and their total."""
    total = {key: sum(row[key] for row in rows.values()) for key in SUMS}
    total["memory"] = max((row["memory"] for row in rows.values()), default=0)
    cells = []
    for name, row in (*rows.items(), ("total", total)):
        counts = [f"{row[key]:,.0f}" if row[key] else "" for key in ("jobs", "done", "passes")]
        times = [estimated_time(row["device"]), estimated_time(row["cpu"])]
        sizes = [with_prefix(row[key], "B") for key in ("disk", "memory")]
        cells.append([name, *counts, with_prefix(row["flops"]), *times, *sizes])
    cells.insert(-1, SEPARATING_LINE)
    align = ["left", *["right"] * (len(HEADER) - 1)]
    return tabulate(cells, HEADER, disable_numparse=True, colalign=align).splitlines()
