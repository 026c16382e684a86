"""The stages expose and score_exposed: resumed bits, scores against plain loops, and no leak from what was learnt."""

import runpy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from workflow import ROOT

from swsa_core import datasets
from swsa_core.anomalies import SOURCES
from swsa_core.anomalies.made import write_anomalies
from swsa_core.anomalies.pool import OTHER_IMAGES
from swsa_core.anomalies.source import Task
from swsa_core.candidates.backbone import load_backbone
from swsa_core.datasets import INDEX
from swsa_core.detectors import score_knn
from swsa_core.embedding.embed import embed
from swsa_core.embedding.image_stream import FileReader
from swsa_core.evaluation.confidence import ALL_SOURCES, confidence
from swsa_core.evaluation.evaluate import evaluate
from swsa_core.evaluation.protocols import compare
from swsa_core.evaluation.severity import severity
from swsa_core.exposure import fine_tune, networks
from swsa_core.files import store
from swsa_core.files.images import prepared
from swsa_core.files.layout import at
from swsa_core.files.text import write_json

TASKS, SEEDS, MORE, N_TEST = ("3", "8"), 8, 2, 12
PREPARATION = {"size": 32, "crop": "center"}
SPEC = {"name": "mini:vit_s", "model": "mini:vit_s", "args": {}}
EXPOSURE = {
    **{"source": "cutpaste", "task": "classification", "epochs": 2, "patience": 5},
    **{"learning_rate": 1e-3, "batch_size": 16, "folds": 2},
}
KNN = {"k": 2, "distance": "l2", "l2_normalize": False}
JUDGING, OTHERS = "mix", "other_tasks"  # with two parents, and with none
MADE = {source: SOURCES[source].section().model_dump() for source in (EXPOSURE["source"], JUDGING)}


class Inputs(list):
    """Named files, as Snakemake hands them to a script."""

    def __init__(self, **named):
        super().__init__(path for paths in named.values() for path in ([paths] if isinstance(paths, str) else paths))
        vars(self).update(named)


def run(directory, stage, output, inputs, **settings):
    """Run the script of a stage on two tasks."""
    tracked = {"version": 1} | {name: value for name, value in settings.items() if name != "k"}
    leaves = {name: name for name in tracked if name != "version"}
    runtime = {"device": "cpu", "workers": 0, "batch_size": "auto"}
    params = {"tracked": tracked, "job": {"stage": stage, "leaves": leaves, "later": {}, "runtime": runtime}}
    params |= {"untracked": {name: settings[name] for name in settings if name == "k"}, "candidate": "after"}
    params = type("Params", (dict,), {"__getattr__": dict.__getitem__})(params)
    (directory / "log").mkdir(exist_ok=True)
    wildcards = type("Wildcards", (list,), {"dataset": "digits"})(["digits", "after"])
    snakemake = SimpleNamespace(
        input=inputs, output=[str(output)], params=params, wildcards=wildcards, log=[str(directory / "log" / stage)], threads=1
    )  # fmt: skip
    runpy.run_path(str(ROOT / "workflow_scripts" / f"{stage}.py"), {"snakemake": snakemake})


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """(Directory of a small study, the inputs that both stages have, supports, index), made by the library."""
    directory = tmp_path_factory.mktemp("exposed")
    results = str(directory / "results")
    index = datasets.index(
        {"kind": "digits", "root": None, "tasks": list(TASKS), "support": {"seeds": SEEDS}}, 0, "digits"
    )
    test = index[index.split == "test"]
    test = pd.concat([test[test["class"] == "3"][: N_TEST // 2], test[test["class"] == "8"][: N_TEST // 2]])
    train = index[(index.split == "train") & index["class"].isin(TASKS)]
    path = dict(zip(index.image_id, index.path, strict=True))
    supports, paths = [], {"anomalies": [], "supports": []}
    for task in TASKS:
        ids = train.image_id[train["class"] == task].tolist()[: SEEDS + MORE]
        support = {
            "dataset": "digits",
            "task": task,
            "seed_ids": ids[:SEEDS],
            "held_out_ids": ids[SEEDS:],
            "skipped": [],
        }
        supports.append(support | {"paths": {image_id: path[image_id] for image_id in ids}})
        paths["supports"].append(at(results, "support", dataset="digits", task=task))
        write_json_at(paths["supports"][-1], supports[-1])
        seeds = {image_id: prepared(path[image_id], PREPARATION) for image_id in ids[:SEEDS]}
        for source, section in MADE.items():
            made = SOURCES[source].make(Task("digits", task, seeds, PREPARATION, 0), section, np.random.default_rng(0))
            paths["anomalies"].append(at(results, "anomalies", dataset="digits", source=source, task=task))
            parent(paths["anomalies"][-1])
            known = {"dataset": "digits", "task": task, "source": source}
            write_anomalies(paths["anomalies"][-1], made.images, made.parents, known, **made.columns)
    others = at(results, "other_images", dataset="digits", source="other_tasks")
    parent(others)
    OTHER_IMAGES.write(others, SOURCES["other_tasks"].others(supports, 5, 0))
    images = at(results, "images", dataset="digits")
    INDEX.write(images, pd.concat([train, test]))
    backbone = load_backbone(SPEC, "cpu")
    features = at(results, "image_features", dataset="digits", backbone="mini-vit_s")
    parent(features)
    rows = pd.concat([train, test])
    embed(
        backbone,
        FileReader(rows.path),
        path=features,
        constants={"image_id": rows.image_id.tolist()},
        log=lambda text: None,
    )
    paths |= {"reconstructions": [], "pool_images": [], "pool_rows": [], "nearest_rows": [], "other_images": [others]}
    return directory, paths | {"images": images, "image_features": features}, supports, rows


def parent(path):
    (path := type(ROOT)(path)).parent.mkdir(parents=True, exist_ok=True)


def write_json_at(path, value):
    parent(path)
    write_json(path, value)


def expose(files, output, **changes):
    directory, inputs, _, _ = files
    of_candidate = {"backbone": SPEC, "exposure": EXPOSURE | changes, "not_judged_by": ["cutpaste"]}
    inputs = Inputs(**inputs, chunk=inputs["supports"], weights=[])
    run(
        directory,
        "expose",
        output,
        inputs,
        seed=0,
        exposure=of_candidate,
        precision="auto",
        preparation=PREPARATION,
        k=2,
    )


@pytest.fixture(scope="module")
def exposed(files):
    """The finished features, and what each network learnt from: [(images, targets, stopping images)]."""
    learnt, train = [], fine_tune._trained

    def recorded(backbone, examples, stopping, *others):
        learnt.append((examples.images, examples.targets, stopping.images))
        return train(backbone, examples, stopping, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fine_tune, "_trained", recorded)
        expose(files, path := files[0] / "whole.h5")
    return path, learnt


@pytest.fixture(scope="module")
def scores(files, exposed):
    directory, inputs, _, _ = files
    run(directory, "score_exposed", directory / "scores.h5", Inputs(**inputs, exposed=[str(exposed[0])]),
        exposure={"exposure": EXPOSURE}, knn=KNN)  # fmt: skip
    return score_knn.read(directory / "scores.h5")


def test_a_killed_job_goes_on_to_the_same_bits(files, exposed, monkeypatch, capfd):
    whole, path, calls = exposed[0], files[0] / "resumed.h5", []
    train = networks.fine_tuned

    def killed(*arguments):
        if len(calls) == 3 + 1:  # within the second task, of three networks each
            raise KeyboardInterrupt
        calls.append(1)
        return train(*arguments)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(networks, "fine_tuned", killed)
        expose(files, path)
    assert not path.exists()
    calls.clear()
    with monkeypatch.context() as patch:
        patch.setattr(networks, "fine_tuned", lambda *arguments: calls.append(1) or train(*arguments))
        expose(files, path)
    assert len(calls) == 3, "the first task is not trained for again"
    (one, _), (other, _) = store.read(whole), store.read(path)
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])


def test_nothing_is_scored_by_a_network_that_learnt_from_it(files, exposed, scores):
    """By the images themselves: what a network learnt from, or was stopped by, is the image or the anomaly of no other fold."""
    _, inputs, supports, _ = files
    for t, support in enumerate(supports):
        ids = support["seed_ids"] + support["held_out_ids"]
        images = [prepared(support["paths"][image_id], PREPARATION) for image_id in ids]
        path = next(
            path for path in inputs["anomalies"] if "/cutpaste/" in path and path.endswith(f"/{support['task']}.h5")
        )
        made, _ = store.read(path)
        for fold in range(2):
            examples, targets, stopping = exposed[1][3 * t + 1 + fold]  # after the network of all images
            seen = {image.tobytes() for image in (*examples, *stopping)}
            assert set(targets.tolist()) == {0, 1}
            for row, image in enumerate(images):
                assert not (row % 2 == fold and image.tobytes() in seen)
            for parents, image in zip(made["parents"], made["images"], strict=True):
                assert not (ids.index(parents[0]) % 2 == fold and image.tobytes() in seen)
        part = scores.of_task(scores.anomalies["mix"], support["task"])
        for fold in range(2):
            of_fold = part["parents"][part["counted"][:, fold]]
            assert (of_fold % 2 == fold).all()
        assert scores.of_task(scores.anomalies["other_tasks"], support["task"])["counted"].all()
    assert not scores.anomalies["cutpaste"]["counted"].any()


def distances(queries, bank):
    found, _ = NearestNeighbors(n_neighbors=2).fit(bank).kneighbors(queries)
    return found.sum(axis=1)


def features_of(path, task, network, part):
    arrays, _ = store.read(path)
    mine = (arrays["task"] == task) & (arrays["network"] == network) & (arrays["part"] == part)
    return arrays["row"][mine], arrays["features"][mine]


def test_scores_agree_with_plain_loops(files, exposed, scores):
    path = exposed[0]
    for t, task in enumerate(TASKS):
        found = {
            key: features_of(path, task, *key) for key in [(-1, "bank"), (-1, "test"), (0, "support"), (1, "support")]
        }
        expected = distances(found[-1, "test"][1], found[-1, "bank"][1])
        np.testing.assert_allclose(scores.test["scores"][:, t], expected, rtol=1e-5)
        for source in ("mix", "other_tasks"):
            won, part = [], scores.of_task(scores.anomalies[source], task)
            for fold in range(2):
                images = found[fold, "support"][1]
                rows = np.arange(len(images))
                bank, own = images[rows % 2 != fold], images[rows % 2 == fold]
                anomalies, features = features_of(path, task, fold, source)
                normal = distances(own, bank)
                scored = distances(features, bank)
                labels = np.repeat([1, 0], [len(scored), len(normal)])
                won.append((roc_auc_score(labels, np.concatenate([scored, normal])), len(scored) * len(normal)))
                np.testing.assert_allclose(part["by_network"][anomalies, fold], scored / normal.mean(), rtol=1e-4)
            aurocs, pairs = np.array(won).T
            assert compare(scores, task, source, "leave_one_out").auroc == pytest.approx(
                (aurocs * pairs).sum() / pairs.sum()
            )


def test_protocols_choose_the_normals(scores):
    alone = {"one": scores}
    for task in TASKS:
        assert compare(scores, task, "mix", "paper").n_normal == MORE
        paired = compare(scores, task, "mix", "paired")
        part = scores.of_task(scores.anomalies["mix"], task)
        assert (np.isfinite(paired.wins[:, 0]) == part["counted"].any(axis=1)).all()
        assert np.isinf(paired.scores[~part["counted"].any(axis=1)]).all()
        trained = compare(scores, task, "cutpaste", "leave_one_out")
        assert np.isnan(trained.auroc) and not trained.counted.any()
    table = confidence(alone, "digits", 0, ["leave_one_out"], 100)
    rows = table[table["validation"] == "cutpaste"]
    assert rows[["p_best", "p_near", "low", "high"]].isna().all(axis=None)


def test_levels_of_strength_have_an_auroc_by_the_pairs_that_count(scores):
    """Half of the anomalies of two parents are scored by no network, and a pair counts where one network scored both."""
    for protocol in ("leave_one_out", "paired", "paper"):
        for source in ("mix", "cutpaste"):
            parts = {task: scores.of_task(scores.anomalies[source], task) for task in TASKS}
            strengths = {task: np.arange(len(part["task"])) % 2 + 1.0 for task, part in parts.items()}
            table = severity({"after": scores}, {source: strengths}, [protocol])
            for task, rows in table.groupby("task"):
                wins = compare(scores, task, source, protocol).wins
                counted = np.isfinite(wins)
                expected = [counted[k::2].any(axis=1).sum() for k in range(2)]
                assert rows["n"].tolist() == expected and rows["auroc"].notna().all() == (source == "mix")
                if source == "mix":
                    aurocs = [wins[k::2][counted[k::2]].mean() for k in range(2)]
                    assert rows["auroc"].tolist() == pytest.approx(aurocs)


def test_a_source_that_one_candidate_lacks_leaves_the_others_as_they_are(files, scores):
    """The plain candidate has the same figures with and without the other one, but for what compares them."""
    plain = replace(scores, anomalies={source: plain_of(part) for source, part in scores.anomalies.items()},
                    support={name: values for name, values in scores.support.items() if name != "network"})  # fmt: skip
    spec = {"kind": "digits", "groups": "exact", "min_group_size": 1}
    options = {"protocols": ["leave_one_out", "paired", "paper"], "settings": ["one_vs_rest"], "hardest": ["all", 3]}
    alone = evaluate({"plain": plain}, files[3], spec, **options)
    both = evaluate({"plain": plain, "after": scores}, files[3], spec, **options)
    pd.testing.assert_frame_equal(both[both["candidate"] == "plain"].reset_index(drop=True), alone)
    after = both[(both["candidate"] == "after") & (both["validation"] == "cutpaste")]
    assert after["auroc"].isna().all() and (after["n_anomalous"] == 0).all()
    before, now = (
        confidence(of, "digits", 0, ["paired"], 100) for of in ({"plain": plain}, {"plain": plain, "after": scores})
    )
    keep = ["task", "validation", "low", "high"]
    mine = now[now["candidate"] == "plain"].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine[keep], before[keep])
    assert (mine[mine["validation"] == "cutpaste"]["p_best"] == 1).all()
    together = now[now["validation"] == ALL_SOURCES]
    assert together.groupby("task")["p_best"].sum().to_numpy() == pytest.approx([1, 1])


def plain_of(part):
    """The columns of a candidate without a bank, such as a prompt."""
    drawn = np.random.default_rng(0).random(len(part["task"])).round(2)
    return {name: values for name, values in part.items() if name in ("task", "parents")} | {"scores": drawn}
