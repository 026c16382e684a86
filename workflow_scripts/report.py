from workflow_scripts.job import job

import math
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from swsa_core import __version__
from swsa_core.candidates import FAMILIES, is_known_bad
from swsa_core.candidates.transforms import seen_by
from swsa_core.detectors.cost import of_candidates
from swsa_core.elsewhere.scores import TRANSFORM
from swsa_core.evaluation.misleading import misleading
from swsa_core.files import layout
from swsa_core.files.text import write_text
from swsa_core.paper.typeset import FORMS
from swsa_core.report import page as report
from swsa_core.report import tables
from swsa_core.report.before_after import BEFORE_AFTER
from swsa_core.report.read_benchmarks import read_benchmarks
from swsa_core.report.read_pictures import (
    read_crosses,
    read_figures,
    read_recommendations,
    read_reconstructions,
    read_sheets,
)
from swsa_core.report.read_supports import read_copies, read_drawings, read_shapes, read_skipped, read_supports
from swsa_core.report.read_tables import read_costs, read_tables

OF_FAMILIES = [
    package for name, one in FAMILIES.items() for package in one.packages({"name": name, "model": f"{name}:"})
]
LIBRARIES = list(dict.fromkeys(["snakemake", *OF_FAMILIES, "numpy", "scipy", "scikit-learn"]))


def read_versions() -> dict[str, str]:
    """{library: version} of Python, SWSA and those of LIBRARIES that are installed."""
    found = {"python": platform.python_version(), "swsa_core": __version__}
    for library in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[library] = version(library)
    return found


with job(snakemake) as mine:
    given, settings = snakemake.input, mine.settings
    config = settings["config"]
    # with the results where this machine has them, also while they lie in object storage
    here = config | {"results": str(Path(snakemake.output[0]).parent)}
    picks = tables.PICKS.read(given.picks)
    supports = read_supports(mine.of_every_task(given.supports))
    images, auroc = read_tables("images", given.images), read_tables("auroc", given.auroc)
    candidates = read_tables("candidates", given.candidates).query("selection == 'model'")
    candidates = candidates.drop(columns=["dataset", "selection", "backbone", "head"]).drop_duplicates("candidate")
    shapes = read_shapes(supports)
    candidates["seen"] = [
        math.nan if text == TRANSFORM else sum(seen_by(text, *shape) for shape in shapes) / len(shapes)
        for text in candidates["transform"]
    ]
    exposed = [one["name"] for one in config["candidates"] if one.get("exposure")]
    n_parameters = candidates.set_index("candidate")["n_parameters"]
    costs = of_candidates(read_costs(given.costs), settings["groups"], exposed, n_parameters)
    candidates = candidates.merge(costs, on="candidate")
    page = report.render(
        config=config,
        picks=picks,
        table1=tables.TABLE1.read(given.table1),
        pick_counts=tables.PICK_COUNTS.read(given.pick_counts),
        candidates=candidates,
        sheets=read_sheets(picks, supports, given.scores, here),
        auroc=auroc[auroc["selection"] == "prompt"] if config["clip"] else None,
        class_names=settings["class_names"],
        crosses=read_crosses(picks, supports, here),
        reconstructions=read_reconstructions(picks, supports, here),
        without=dict(settings).get("left_out", {}),
        paper_tables={name: FORMS[name].title for name in dict(settings).get("paper_tables", ())},
        svgs=read_figures(given.figures),
        skipped=read_skipped(
            supports,
            given.scores,
            dict(zip(zip(images.dataset, images.image_id, strict=True), images.path, strict=True)),
        ),
        copies=read_copies(supports),
        drawings=read_drawings(supports),
        misled={
            dataset: misleading(rows, [one["name"] for one in config["candidates"] if is_known_bad(one)])
            for dataset, rows in auroc[auroc["selection"] == "model"].groupby("dataset", sort=False)
        },
        leaks=read_tables("leaks", given.leaks),
        recommendations=read_recommendations(given.recommendations, supports),
        before_after=BEFORE_AFTER.read(given.before_after[0]) if given.before_after else None,
        costs=tables.stage_costs(read_benchmarks(Path(layout.at(here["results"], "benchmarks")), config, supports)),
        versions=read_versions(),
    )
    write_text(snakemake.output[0], page)
    print(f"The report: {Path(snakemake.output[0]).resolve()}")
