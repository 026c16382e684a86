import platform
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from swsa_core import report, store, tables
from swsa_core.versions import STAGE_VERSIONS
from workflow_scripts._job import job
from workflow_scripts._study import TEXT, read_sheets, read_skipped, read_supports, read_tables

LIBRARIES = [
    "swsa_core",
    "snakemake",
    "torch",
    "torchvision",
    "timm",
    "open_clip_torch",
    "numpy",
    "scipy",
    "scikit-learn",
]


def read_benchmarks(folder):
    """Snakemake's run times and memory of every job so far, in the order of the stages."""
    files = sorted(folder.glob("*/**/*.tsv"))
    jobs = [pd.read_csv(file, sep="\t").assign(stage=file.relative_to(folder).parts[0]) for file in files]
    stages = list(STAGE_VERSIONS)
    order = {stage: stages.index(stage) if stage in stages else len(stages) for stage in {j.stage[0] for j in jobs}}
    return pd.concat(jobs).sort_values("stage", key=lambda stage: stage.map(order), kind="stable")


with job(snakemake):
    given, config = snakemake.input, snakemake.config
    picks, table1, pick_counts = (
        store.read_table(path, text=TEXT) for path in (given.picks, given.table1, given.pick_counts)
    )
    supports = read_supports(given.supports)
    images = read_tables(given.images)
    candidates = read_tables(given.candidates).drop(columns="dataset").drop_duplicates("candidate")
    page = report.render(
        config={key: value for key, value in config.items() if key != "runtime"},
        picks=picks,
        table1=table1,
        pick_counts=pick_counts,
        candidates=candidates,
        sheets=read_sheets(picks, supports, given.scores, config),
        svgs={
            path.stem: path.read_text(encoding="utf-8")
            for path in sorted(Path(given.figures).glob("*.svg"))
            if ".contact_sheet." not in path.name
        },
        skipped=read_skipped(
            supports,
            given.scores,
            dict(zip(zip(images.dataset, images.image_id, strict=True), images.path, strict=True)),
        ),
        costs=tables.stage_costs(read_benchmarks(Path(config["results"]) / "benchmarks")),
        versions={"python": platform.python_version()} | {library: version(library) for library in LIBRARIES},
    )
    store.write_text(snakemake.output[0], page)
    print(f"The report: {Path(snakemake.output[0]).resolve()}")
