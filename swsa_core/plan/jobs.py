"""What a study costs before it runs: its jobs, their network passes, time, disk and memory."""

from collections.abc import Iterator
from functools import partial

from swsa_core.anomalies.source import Work
from swsa_core.config.study import Study
from swsa_core.files import layout
from swsa_core.plan.anomaly_jobs import anomaly_jobs
from swsa_core.plan.candidate_jobs import embedding_jobs, exposure_jobs, score_jobs
from swsa_core.plan.costs import Cost
from swsa_core.plan.one_job import ALL, START, START_NETWORK, Job, batches, outputs, seconds_to_read
from swsa_core.plan.sizes import Size

CURVE = 15  # seconds of one core: 41 selections of 15 candidates
OF_PAPER = ("paper_tables", "paper_figures", "tsne", "total_variation")
TABLES = ("strategies", "tables", "before_after", "figures", "report", *OF_PAPER, ALL)


def jobs(
    study: Study, sizes: dict[str, Size], costs: dict[str, Cost], work: dict[tuple[str, int], Work]
) -> Iterator[Job]:
    """All `Job`s that Snakemake runs for the default target, in the order of the stages.

    sizes: {data set: Size}; costs: {slug of the backbone: Cost}; work: {(stage, seeds): Work} of one task, of the sources
    that have a network, and of their reconstructions; {(stage, images): Work} of training, see `trained_on`.
    """
    place = partial(layout.at, study.results)
    yield from _supports(study, sizes, place)
    yield from anomaly_jobs(study, sizes, work, place)
    yield from embedding_jobs(study, sizes, costs, place)
    yield from exposure_jobs(study, sizes, costs, place)
    yield from score_jobs(study, sizes, costs, place)
    yield from _elsewhere(study, place)
    for slug in study.heads_of:
        start = START_NETWORK if costs[slug].flops else START
        yield Job("cost", place("costs", backbone=slug), start=start)
    yield from _evaluations(study, sizes, place)
    yield from _tables(study, place)


def _supports(study, sizes, place):
    for dataset in sizes:
        yield Job("index_images", place("images", dataset=dataset))
    for dataset, tasks in batches(study, sizes):
        size = sizes[dataset]
        output, more = outputs(place, "support", dataset, tasks)
        seconds = len(tasks) * seconds_to_read(study, dataset) * size.support / len(size.tasks)
        yield Job("split_support", output, start=START + seconds, more=more)


def _elsewhere(study, place):
    for dataset in study.datasets if study.given else ():
        yield Job("to_score", place("to_score", dataset=dataset))
        for slug in study.scoring:
            yield Job("score_by_function", place("called_scores", dataset=dataset, candidate=slug))
        for slug in study.given:
            yield Job("score_given", place("scores", dataset=dataset, candidate=slug))


def _evaluations(study, sizes, place):
    for dataset in study.datasets:  # each test image is read beside its nearest training image
        seconds = 2 * seconds_to_read(study, dataset) * sizes[dataset].test if dataset in sizes else 0
        yield Job("leaks", place("leaks", dataset=dataset), start=START + seconds)
    stages = [("evaluate", "auroc"), *([("severity", "severity")] if study.graded else []), ("select", "selection")]
    for stage, table in stages:
        for dataset in study.datasets:
            yield Job(stage, place(table, dataset=dataset))
    for dataset in study.datasets:
        if dataset in sizes and study.has_curve(len(sizes[dataset].tasks)):
            yield Job("support_curve", place("support_curve", dataset=dataset), start=CURVE)
        yield Job("recommendation", place("recommendation", dataset=dataset))


def _tables(study, place):
    """The paper's tables and figures are made by default where one of its data sets is among them."""
    results = {"strategies": "strategies", "tables": "table1", "figures": "figures"}
    if study.in_paper:
        results |= {"paper_tables": "paper_table", "paper_figures": "paper_figures"}
    if study.exposed:
        results |= {"before_after": "before_after"}
    for stage, name in (results | {"report": "report"}).items():
        yield Job(stage, place(name, **({"table": "table1"} if name == "paper_table" else {})))
    of_datasets = ["tsne"] if study.in_paper else []
    of_datasets += ["total_variation"] if study.in_paper and "table3" in study.paper_tables else []
    for stage in of_datasets:
        for dataset in study.datasets:
            yield Job(stage, place(stage, dataset=dataset))
    yield Job(ALL, None, start=0)
