"""Select, tables, figures and report at the size of the paper: 329 tasks, ten models, ten prompts, three sources.

AUROCs, intervals and images are random and made directly; what is timed are the functions that the stages call, and
the reading of the largest score files. Prints wall and CPU seconds of each part, the peak memory and the size of report.html.

    python benchmarks/paper_size.py [--out report.html] [--skip-scores]
"""

import argparse
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from evaluate import HARDEST, JUDGES, peak, selections, timed  # beside this script

from swsa_core.candidates.prompts import ENSEMBLE, prompt_names
from swsa_core.config.config import validate
from swsa_core.detectors import score_knn
from swsa_core.evaluation.confidence import ALL_SOURCES
from swsa_core.report import contact_sheets, figures, page, style, tables
from swsa_core.strategies import combinations, of_selection, select

PAPER = Path(__file__).parents[1] / "config" / "paper.yaml"
N_TASKS = {"cub": 200, "flowers": 102, "mvtec_ad": 15, "visa": 12}
MORE = ["swsa_combined", "fixed_best_cutpaste", *combinations(), *JUDGES]


def tables_of(tasks, candidates, combined, config, generator):
    """(auroc, confidence, quality) of one data set and selection, as the stage `evaluate` writes them."""
    evaluation, sources = config["evaluation"], list(config["sources"])
    of_ranks = list(combinations())
    names = [*candidates, *combined, *of_ranks]
    skill = generator.uniform(0.6, 0.9, len(names))
    real = _rows(task=tasks, candidate=names, validation=["real"], protocol=[""], setting=evaluation["settings"])
    real["n_anomalies"] = "all"
    made = _rows(
        task=tasks,
        validation=sources,
        protocol=evaluation["protocols"],
        candidate=[*candidates, *combined],
        n_anomalies=list(map(str, HARDEST)),
    )
    auroc = pd.concat([real, made.assign(setting="")], ignore_index=True)
    of = auroc["candidate"].map(dict(zip(names, skill, strict=True)))
    auroc["auroc"] = np.clip(of + generator.normal(0, 0.08, len(auroc)), 0, 1)
    auroc = auroc.assign(n_normal=30, n_anomalous=100, closest="")
    confidence = _rows(
        task=tasks, validation=[*sources, ALL_SOURCES], protocol=evaluation["protocols"], candidate=candidates
    )
    confidence["p_best"], confidence["p_near"] = generator.random((2, len(confidence)))
    confidence["low"], confidence["high"] = generator.uniform([[0.5], [0.8]], [[0.7], [1]], (2, len(confidence)))
    quality = _rows(task=tasks, strategy=list(JUDGES), candidate=candidates)
    return auroc, confidence, quality.assign(quality=generator.random(len(quality)))


def _rows(**columns):
    return pd.DataFrame(product(*columns.values()), columns=list(columns))


def study(config, generator):
    """{"auroc", "confidence", "quality", "candidates": table of all data sets}, with columns dataset and selection."""
    found = {"auroc": [], "confidence": [], "quality": [], "candidates": []}
    models = [model["name"] for model in config["candidates"]]
    for dataset, n_tasks in N_TASKS.items():
        tasks = [f"{task + 1:03d}.Class" for task in range(n_tasks)]
        prompts = prompt_names(config["datasets"][dataset]["templates"])
        for selection, candidates, combined in (("model", models, []), ("prompt", prompts, [ENSEMBLE])):
            made = tables_of(tasks, candidates, combined, config, generator)
            described = pd.DataFrame({"candidate": candidates, "model": candidates, "n_parameters": 10**8})
            described = described.assign(
                feature_size=2048,
                licence="bsd-3-clause",
                weights_sha256="ab12" * 16,
                transform="resize 256, crop 224",
            )
            for name, table in zip(found, (*made, described), strict=True):
                found[name].append(table.assign(dataset=dataset, selection=selection))
    return {name: pd.concat(parts, ignore_index=True) for name, parts in found.items()}


def picks_of(made, config):
    """selection.csv of all data sets."""
    strategies = [*config["strategies"], *MORE]
    found = []
    for (dataset, selection), candidates in made["candidates"].groupby(["dataset", "selection"], sort=False):
        auroc, confidence, quality = (
            table[(table["dataset"] == dataset) & (table["selection"] == selection)]
            for table in (made["auroc"], made["confidence"], made["quality"])
        )
        wanted = of_selection(selection, strategies)
        protocols = config["evaluation"]["protocols"]
        table = select.select(auroc, confidence, candidates, wanted, protocols, quality)
        found.append(table.assign(dataset=dataset, selection=selection))
    return pd.concat(found, ignore_index=True)


def tables_made(selection, made, config):
    """{name: table} of the stage `tables`."""
    return {
        "table1": tables.table1(selection),
        "picks": tables.picks(selection, made["auroc"], config["evaluation"]["protocols"], config["strategies"]),
        "pick_counts": tables.pick_counts(selection),
        "ranking": tables.ranking(made["auroc"]),
    }


def drawn(made, of_tables, sheets, config, folder):
    """The figures as files of the stage `figures`; {(data set, name): SVG text} of those that the report shows."""
    arguments = made["auroc"], of_tables["ranking"], made["confidence"], of_tables["table1"], of_tables["picks"]
    names = [model["name"] for model in config["candidates"]]
    found = figures.study(*arguments, names, config["evaluation"]["protocols"])
    for figure in found:
        (folder / figure[0]).mkdir(exist_ok=True)
    for (dataset, name), figure in found.items():
        style.save(figure, folder / dataset / name)
    for sheet in sheets:
        style.save(figures.contact_sheet(sheet), folder / sheet.dataset / f"contact_sheet.{sheet.task}")
    return {(dataset, name): (folder / dataset / f"{name}.svg").read_text(encoding="utf-8") for dataset, name in found}


def sheets_of(picks, config):
    """The contact sheets of the tasks that get one, of images as smooth as photographs at the size of the preparation."""
    side = config["preparation"]["size"]
    parents = np.array([[f"{i}", f"{j}"] for i in range(10) for j in range(10)], dtype=object)
    return [
        contact_sheets.collect(
            pick,
            [f"{i}" for i in range(20)],
            lambda image_id: photograph(int(image_id), side),
            np.arange(100.0),
            lambda row: photograph(row + 100, side),
            parents,
        )
        for pick in tables.shown(picks).itertuples()
    ]


def photograph(seed, side):
    """An image (side, side, 3) uint8 whose spectrum falls with the frequency as that of photographs does."""
    generator = np.random.default_rng(seed)
    frequencies = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    spectrum = np.fft.rfft2(generator.normal(size=(4, side, side))) / np.maximum(frequencies, 1 / side) ** 1.5
    light, *colours = np.fft.irfft2(spectrum, (side, side))
    image = light[..., None] + 0.3 * np.stack(colours, axis=-1)
    return np.clip(128 + 45 * image / image.std(), 0, 255).astype(np.uint8)


def crosses_of(picks, config):
    """{(data set, task): {source: the contact sheet of all 10 x 10 pairs}} of the first source, one image for all."""
    side = config["preparation"]["size"]
    images = np.stack([photograph(i, side) for i in range(10)])
    sheet = contact_sheets.cross_sheet(images, images, np.stack([images] * 10))
    source = next(iter(config["sources"]))
    return {(pick.dataset, pick.task): {source: sheet} for pick in tables.shown(picks).itertuples()}


def rendered(made, of_tables, sheets, svgs, config):
    """report.html as text."""
    candidates = made["candidates"].query("selection == 'model'").drop_duplicates("candidate")
    auroc = made["auroc"]
    return page.render(
        config=config,
        picks=of_tables["picks"],
        table1=of_tables["table1"],
        pick_counts=of_tables["pick_counts"],
        candidates=candidates.drop(columns=["dataset", "selection"]),
        sheets=sheets,
        auroc=auroc[auroc["selection"] == "prompt"],
        class_names={name: {task: task for task in auroc["task"].unique()} for name in N_TASKS},
        crosses=crosses_of(of_tables["picks"], config),
        svgs=svgs,
        skipped=[],
        costs=tables.stage_costs(
            pd.DataFrame({"stage": ["embed"] * 1250, "s": 10.0, "max_rss": 900.0, "gpu_mb": 5000.0})
        ),
        versions={"numpy": np.__version__},
    )


def read_scores(paths):
    """What figures and report read of the score files."""
    return {path: score_knn.read(path) for path in paths}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="where to leave the report")
    parser.add_argument("--skip-scores", action="store_true", help="do not write and read score files of CUB's size")
    arguments = parser.parse_args()
    config = validate(yaml.safe_load(PAPER.read_text(encoding="utf-8")))
    made = study(config, np.random.default_rng(0))
    print(f"{sum(N_TASKS.values())} tasks; made: {peak():.2f} GB")
    start, cpu_start = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        selection = timed("select", picks_of, made, config)
        of_tables = timed("tables", tables_made, selection, made, config)
        sheets = sheets_of(of_tables["picks"], config)
        svgs = timed("figures", drawn, made, of_tables, sheets, config, Path(folder))
        text = timed("report", rendered, made, of_tables, sheets, svgs, config)
        if not arguments.skip_scores:
            paths = [Path(folder) / f"{i}.h5" for i in range(10)]
            (model,) = selections(200, 5794, n_models=1, n_prompts=0)[0]["model"].values()
            for path in paths:
                score_knn.write(path, model, {})
            timed("reading scores, twice", lambda: [read_scores(paths) and None for _ in range(2)])
    print(f"together {time.perf_counter() - start:.1f} s, {time.process_time() - cpu_start:.1f} CPU s")
    print(f"report.html {len(text.encode()) / 1e6:.1f} MB")
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
