from workflow_scripts.job import job

from pathlib import Path
from typing import Any

from swsa_core.anomalies.made import read_origins
from swsa_core.embedding.image_stream import RowReader
from swsa_core.evaluation import tsne
from swsa_core.files import layout
from swsa_core.files.images import prepared
from swsa_core.files.support import read_support
from swsa_core.paper import figures as paper_figures
from swsa_core.report import style as figure_style
from swsa_core.report import tables


def read_pairs(support_file: str, pairs_file: str, settings: dict[str, Any]) -> paper_figures.Pairs:
    """The `Pairs` of one task: its first style and content images, and what diffusion made of them."""
    support = read_support(support_file)
    parents = read_origins(pairs_file)[0]["parents"]
    return paper_figures.collect(
        support["dataset"],
        support["task"],
        parents,
        lambda image_id: prepared(support["paths"][image_id], settings["preparation"]),
        RowReader([pairs_file]),
        settings["rows"],
        settings["columns"],
    )


with job(snakemake) as mine:
    given, settings = snakemake.input, mine.settings
    drawn = paper_figures.study(
        tables.RANKING.read(given.ranking),
        [read_pairs(*files, settings) for files in zip(given.supports, given.pairs, strict=True)],
        {layout.dataset_of("tsne", path): tsne.TSNE.read(path) for path in given.tsne},
        settings["candidate_order"],
        settings["protocols"],
        settings["space"],
    )
    folder = Path(snakemake.output[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in drawn.items():
        figure_style.save(figure, folder / name)
        paper_figures.save_pdf(figure, folder / name)
    print(f"{len(drawn)} figures in {folder}")
