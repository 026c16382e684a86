"""The table that `snakemake plan` prints: a row a stage, with what its jobs that are left cost."""

import math

from swsa_core.plan.jobs import TABLES

PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z")
LAST = "tables, figures, report"  # row of all stages after the selection
SUMS = ("jobs", "done", "passes", "flops", "device", "cpu", "disk")


def totals(planned, left, seconds):
    """{row: {sums of SUMS over its jobs that are left, and the "memory" of the largest}}; "done" are the others.

    planned, left: all `Job`s, and those to do; seconds: function of a job with a network to the time of its device.
    """
    rows = {}
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


def table(rows):
    """Lines of text: the rows of `totals` and their total."""
    total = {key: sum(row[key] for row in rows.values()) for key in SUMS}
    total["memory"] = max((row["memory"] for row in rows.values()), default=0)
    cells = [["stage", "jobs", "done", "passes", "FLOP", "device", "CPU", "disk", "memory"]]
    for name, row in (*rows.items(), ("total", total)):
        counts = [f"{row[key]:,.0f}" if row[key] else "" for key in ("jobs", "done", "passes")]
        times = [duration(row["device"]), duration(row["cpu"])]
        sizes = [scaled(row[key], "B") for key in ("disk", "memory")]
        cells.append([name, *counts, scaled(row["flops"]), *times, *sizes])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join([name.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(values, widths[1:], strict=True))])
        for name, *values in cells
    ]
    rule = "-" * len(lines[0])
    return [lines[0], rule, *lines[1:-1], rule, lines[-1]]


def scaled(value, unit=""):
    """A number with two or three digits and the prefix of its thousands; "" for nothing.

    >>> scaled(5.44e18), scaled(2_470_000_000, "B"), scaled(0)
    ('5.4 E', '2.5 GB', '')
    """
    if not value:
        return ""
    prefix = min(int(math.log10(max(value, 1)) // 3), len(PREFIXES) - 1)
    number = value / 1000**prefix
    return f"{number:.{int(number < 10)}f} {PREFIXES[prefix]}{unit}".strip()


def duration(seconds):
    """A time in the unit that suits it; "" for nothing.

    >>> duration(27_200), duration(90), duration(5)
    ('7.6 h', '1.5 min', '5 s')
    """
    if seconds < 1:
        return "< 1 s" if seconds else ""
    size, unit = next(
        (size, unit) for size, unit in ((3600, "h"), (60, "min"), (1, "s")) if seconds >= size or size == 1
    )
    number = seconds / size
    return f"{number:,.{int(number < 10 and size > 1)}f} {unit}"
