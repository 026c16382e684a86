"""The main job on real images: Flowers, MVTec-AD and Tiny-ImageNet with real ImageNet weights, in one config."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from layouts import SHARED
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from workflow import snakemake

from swsa_core import datasets
from swsa_core.basics.names import unique_slugs
from swsa_core.evaluation.evaluate import AUROC
from swsa_core.files.text import read_json
from swsa_core.report.tables import TABLE1

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.study,
    pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="the real images (../shared/data) are not here"),
]


def config():
    """benchmarks/real_images.yaml with the images in ../shared and the paper's strategies; the birds are in
    tests/rules/test_whole_study.py."""
    settings = yaml.safe_load((ROOT / "benchmarks" / "real_images.yaml").read_text(encoding="utf-8"))
    for entry in (*settings["datasets"].values(), settings["sources"]["tiny_imagenet"]):
        entry["root"] = str(SHARED / entry["root"])
    for candidate in settings["candidates"]:
        if isinstance(candidate, dict):
            candidate["weights"] = str(SHARED / candidate["weights"])
    del settings["datasets"]["cub"]
    del settings["strategies"]
    return settings | {"results": "results"}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    directory = tmp_path_factory.mktemp("real_images")
    snakemake(directory, config(), timeout=1500)
    return directory / "results"


def scikit_learn_auroc(results, dataset, candidate, task, index):
    """One-vs-rest and the AUROC against each group by scikit-learn, from the features of the original files."""
    slug = next(slug for slug, name in unique_slugs(sorted(set(index["class"]))).items() if name == task)
    support = read_json(results / dataset / "support" / f"{slug}.json")
    with h5py.File(results / dataset / "embeddings" / candidate / "images.h5") as file:
        features = dict(zip(file["image_id"].asstr()[()], file["features"][()].astype(float), strict=True))
    bank = np.stack([features[image_id] for image_id in support["seed_ids"] + support["held_out_ids"]])
    test = index[index.split == "test"]
    if dataset == "mvtec_ad":
        test = test[test["class"] == task]
    normal = "good" if dataset == "mvtec_ad" else task
    queries = np.stack([features[image_id] for image_id in test.image_id])
    distances, _ = NearestNeighbors(n_neighbors=3, algorithm="brute").fit(bank).kneighbors(queries)
    scores, groups = (distances**2).sum(axis=1), test.group.to_numpy()
    against = [
        roc_auc_score(groups[chosen] != normal, scores[chosen])
        for group in sorted(set(groups) - {normal})
        for chosen in [np.isin(groups, [group, normal])]
    ]
    return {
        "one_vs_rest": roc_auc_score(groups != normal, scores),
        "one_vs_closest": min(against),
        "one_vs_one": np.mean(against),
    }


@pytest.mark.parametrize("candidate", ["mobilenet", "squeezenet"])
@pytest.mark.parametrize(("dataset", "n_tasks"), [("flowers", 16), ("mvtec_ad", 1)])
def test_real_auroc_is_that_of_scikit_learn(results, dataset, n_tasks, candidate):
    index = datasets.INDEX.read(results / dataset / "images.csv")
    auroc = AUROC.read(results / dataset / "auroc.csv")
    real = auroc[(auroc.validation == "real") & (auroc.candidate == candidate)]
    assert real.task.nunique() == n_tasks
    for task, rows in real.groupby("task"):
        expected = scikit_learn_auroc(results, dataset, candidate, task, index)
        assert dict(zip(rows.setting, rows.auroc, strict=True)) == pytest.approx(expected, abs=1e-4)


def test_picks_make_sense(results):
    """Selection finds a network, and is right more often than chance, where classes differ in what networks see."""
    table = TABLE1.read(results / "tables" / "table1.csv")
    rest = table[(table.setting == "one_vs_rest") & (table.selection == "model")].set_index(
        ["dataset", "strategy", "protocol"]
    )
    chosen, chance = rest.loc[("flowers", "swsa_cutpaste", "leave_one_out")], rest.loc[("flowers", "random", "")]
    assert chosen.auroc > chance.auroc + 0.05
    assert chosen.pick_rate > chance.pick_rate
    assert chosen.auroc <= rest.loc[("flowers", "best", "")].auroc


def test_every_stage_left_its_files(results):
    for dataset in ("flowers", "mvtec_ad"):
        for source in ("cutpaste", "tiny_imagenet"):
            assert (results / dataset / "anomalies" / source).is_dir() or (
                results / dataset / "anomalies" / f"{source}.csv"
            ).is_file()
    # of each data set eight figures, and contact sheets of the tasks that the report shows
    assert len(list((results / "figures").glob("*/*.svg"))) == 2 * 8 + 3 + 1
    assert (results / "report.html").stat().st_size > 1_000_000
