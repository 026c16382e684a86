"""What Snakemake measured of a study's jobs: run times and memory of those that its config has, by stage."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from swsa_core.anomalies import SOURCES
from swsa_core.basics.names import text_slugs, unique_slugs
from swsa_core.basics.versions import STAGE_VERSIONS
from swsa_core.candidates.section import clip_backbone
from swsa_core.files import gpu_memory, layout
from swsa_core.files.machine import reading
from swsa_core.report.read_supports import Supports


def read_benchmarks(folder: Path, config: Mapping[str, Any], supports: Supports) -> pd.DataFrame:
    """Snakemake's run times and memory of the jobs of this config, with their stage and what their logs tell of GPU memory
    (`gpu_mb`), in the order of the stages.

    Files of jobs that another config had are passed over.
    """
    known, tasks = _names(config), {(dataset, support["slug"]) for (dataset, _), support in supports.items()}
    counts = Counter(dataset for dataset, _ in tasks)
    tasks |= {(dataset, str(chunk)) for dataset, count in counts.items() for chunk in range(count)}
    jobs = [
        _read_benchmark(path).assign(
            stage=path.relative_to(folder).parts[0], gpu_mb=gpu_memory.of_log(Path(layout.log_of(path)))
        )
        for path in sorted(folder.glob("*/**/*.tsv"))
        if _is_current(path.relative_to(folder).with_suffix("").parts, known, config["sources"], tasks)
    ]
    if not jobs:
        return pd.DataFrame(columns=["stage", "s", "max_rss", "gpu_mb"])
    return pd.concat(jobs, ignore_index=True).sort_values("stage", key=lambda s: s.map(_place), kind="stable")


def _read_benchmark(path):
    with reading(path, "a benchmark of Snakemake"):
        found = pd.read_csv(path, sep="\t")
        return found[["s", "max_rss"]]


def _names(config):
    """What the wildcards of a config's jobs may be, but for tasks and numbers: those of whole studies hold their stage."""
    clip = [clip_backbone(config["clip"])] if config["clip"] else []
    named = [*(model["name"] for model in config["candidates"] + clip), *(config.get("scores") or ())]
    candidates = unique_slugs(named)
    trained = {name: SOURCES[name].training for name in config["sources"]}
    texts = [slug for name, one in trained.items() if one for slug in text_slugs(one.texts(config["sources"][name]))]
    return {*config["datasets"], *config["sources"], *candidates, *texts}


def _is_current(parts, known, sources, tasks):
    """Whether a benchmark's path, (stage, wildcards...) or (stage, stage), is of a job of this config.

    known: `_names` of the config. tasks: {(data set, slug of a task, or number of a job of several)}.
    """
    stage, first, *_ = parts
    of_source = re.sub("^(sample|reconstruct|invert|train)_", "", stage)
    if _place(stage) is None or (of_source in SOURCES and of_source not in sources):
        return False
    return all(name in known or name == stage or (first, name) in tasks for name in parts[1:])


def _place(stage):
    """The stage's place in the order of the report, None for an unknown one; stages of sources and heads share places."""
    stages = list(STAGE_VERSIONS)
    if stage in SOURCES or stage.startswith("reconstruct_"):  # what is generated follows the pools' index
        return stages.index("index_pool") + 0.5
    shared = {"sample_": "sample_pool", "embed_": "embed_anomalies", "score_": "score_clip"}
    names = [stage, *(name for prefix, name in shared.items() if stage.startswith(prefix))]
    return next((stages.index(name) for name in names if name in stages), None)
