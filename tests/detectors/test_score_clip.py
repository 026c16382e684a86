"""The score stage of CLIP prompts: all tasks and prompts at once equal each alone; the file; protocols and evaluation."""

import copy

import numpy as np
import pytest
import scored
import tiny_clip
from workflow import dry_run, snakemake

from swsa_core.basics.errors import InputError
from swsa_core.candidates.prompts import ENSEMBLE
from swsa_core.detectors import score_clip
from swsa_core.detectors.clip import anomaly_logit, ensemble
from swsa_core.detectors.scores import Features, apart
from swsa_core.evaluation.evaluate import evaluate
from swsa_core.evaluation.protocols import compare
from swsa_core.metrics import auroc

TEMPLATES = [["a photo of a {}", "a photo of some bird"], ["a dark {}", "a dark bird"], ["a {}", "no {}"]]
NAMES = ["a photo of a {}", "a dark {}", "a {}", ENSEMBLE]
PROTOCOLS = ["leave_one_out", "paired", "paper"]


def scores_of(study, templates=TEMPLATES, seed=5):
    """({prompt: Scores}, text features (T, P, 2, d)) of a study, with random texts."""
    d = study.images[0].shape[1]
    texts = np.random.default_rng(seed).normal(size=(len(study.supports), len(templates), 2, d)).astype(np.float32)
    given = (study.supports, study.images, study.test_ids, study.prepared, study.anomalies)
    return score_clip.score_dataset(*given, templates, texts, logit_scale=20.0), texts


def test_each_prompt_and_task_as_if_alone():
    study = scored.study()
    scores, texts = scores_of(study)
    assert list(scores) == NAMES
    test = study.features(study.images, study.test_ids)
    for p, one in enumerate(scores.values()):
        assert one.test["image_id"].tolist() == study.test_ids
        assert one.tasks == ["a", "b"]
        for t, support in enumerate(study.supports):
            pair = texts[t, p] if p < len(TEMPLATES) else ensemble(texts[t])
            ids = support["seed_ids"] + support["held_out_ids"]

            def alone(features, pair=pair):
                return anomaly_logit(features, pair[None], 20.0)[:, 0]

            np.testing.assert_array_equal(one.test["scores"][:, t], alone(test))
            part = one.of_task(one.support, support["task"])
            assert part["image_id"].tolist() == ids
            assert part["held_out"].tolist() == [False] * len(support["seed_ids"]) + [True] * len(
                support["held_out_ids"]
            )
            np.testing.assert_array_equal(part["scores"], alone(study.features(study.prepared, ids)))
            for source, (features, of, parents) in study.anomalies.items():
                part, mine = one.of_task(one.anomalies[source], support["task"]), of == support["task"]
                np.testing.assert_array_equal(part["scores"], alone(features[mine]))
                assert [[ids[row] for row in rows] for rows in part["parents"]] == parents[mine].tolist()


def test_a_prompts_scores_do_not_depend_on_the_others():
    study = scored.study()
    scores, texts = scores_of(study)
    given = (study.supports, study.images, study.test_ids, study.prepared, study.anomalies)
    alone = score_clip.score_dataset(*given, TEMPLATES[1:2], texts[:, 1:2], 20.0)
    assert list(alone) == ["a dark {}", ENSEMBLE]
    for name in alone:
        np.testing.assert_array_equal(alone[name].test["scores"], scores["a dark {}"].test["scores"])


@pytest.mark.parametrize("sizes", [(8, 10), (6, 6)], ids=["held-out normals", "none held out"])
def test_protocols_differ_in_the_normals_only(sizes):
    study = scored.study(sizes=sizes, n_seeds=6)
    scores, _ = scores_of(study)
    for one in scores.values():
        for task in one.tasks:
            support = one.of_task(one.support, task)
            for source in study.anomalies:
                anomalies = one.of_task(one.anomalies[source], task)

                def expected(normals, anomalies=anomalies):
                    values = np.concatenate([normals, anomalies["scores"]])
                    return auroc(values, np.arange(len(values)) >= len(normals))

                found = {protocol: compare(one, task, source, protocol).wins.mean() for protocol in PROTOCOLS}
                held_out = support["scores"][support["held_out"]]
                assert found["leave_one_out"] == pytest.approx(expected(support["scores"]))
                assert found["paper"] == pytest.approx(expected(held_out if len(held_out) else support["scores"]))
                if source == "one":
                    own = support["scores"][anomalies["parents"][:, 0]]
                    assert found["paired"] == pytest.approx((anomalies["scores"] > own).mean())
                if source == "pool":
                    assert found["paired"] == found["leave_one_out"]


def test_reconstructions_are_scored_as_anomalies_are_and_stand_apart_in_the_file(tmp_path):
    study = scored.study()
    texts = np.random.default_rng(5).normal(size=(2, 3, 2, study.images[0].shape[1])).astype(np.float32)
    given = (study.supports, study.images, study.test_ids, study.prepared, study.scored)
    scores = score_clip.score_dataset(*given, TEMPLATES, texts, logit_scale=20.0)
    scores = {name: apart(one) for name, one in scores.items()}
    score_clip.write(tmp_path / "clip.h5", scores, {"model": "mini:clip"})
    for name, one in score_clip.read(tmp_path / "clip.h5", ["two", "one"]).items():
        assert list(one.anomalies) == ["two", "one"] and list(one.reconstructions) == ["two"]
        p = NAMES.index(name)
        again, of, _ = study.reconstructions["two"]
        pair = texts[1, p] if p < len(TEMPLATES) else ensemble(texts[1])
        normals = anomaly_logit(again[of == "b"], pair[None], 20.0)[:, 0]
        anomalies = one.of_task(one.anomalies["two"], "b")["scores"]
        found = compare(one, "b", "two", "reconstructed").wins.mean()
        assert found == pytest.approx((anomalies[:, None] > normals).mean())


def test_evaluate_takes_prompts_like_candidates_and_beside_them():
    study = scored.study()
    study.reconstructions = {}
    scores, _ = scores_of(study)
    table = evaluate(scores, study.index, scored.SPEC, protocols=PROTOCOLS, settings=["one_vs_rest"])
    assert table.candidate.unique().tolist() == NAMES
    real = table[(table.validation == "real") & (table.task == "b")].set_index("candidate").auroc
    labels = study.index[study.index.split == "test"]["class"] != "b"
    for name, one in scores.items():
        assert real[name] == pytest.approx(auroc(one.test["scores"][:, 1], labels))
    together = evaluate(
        {"vit": study.scores(), **scores}, study.index, scored.SPEC, protocols=PROTOCOLS, settings=["one_vs_rest"]
    )
    rows = together[together.candidate != "vit"].reset_index(drop=True)
    assert rows.sort_values(list(rows)).equals(
        table.sort_values(list(table)).set_index(rows.sort_values(list(rows)).index)
    )


def test_a_file_gives_back_what_was_written(tmp_path):
    study = scored.study()
    scores, _ = scores_of(study)
    attributes = {
        "model": "mini:clip",
        "n_parameters": 7,
        "feature_size": 4,
        "weights_sha256": "ab",
        "logit_scale": 20.0,
    }
    score_clip.write(tmp_path / "scores.h5", scores, attributes)
    found = score_clip.read(tmp_path / "scores.h5")
    assert list(found) == NAMES
    for (name, one), (normal, anomalous) in zip(found.items(), [*TEMPLATES, ("", "")], strict=True):
        assert one.attributes == {**attributes, "candidate": name, "normal": normal, "anomalous": anomalous}
        assert one.tasks == scores[name].tasks
        assert one.anomalies.keys() == study.anomalies.keys()
        parts = [(one.test, scores[name].test), (one.support, scores[name].support)]
        parts += [(one.anomalies[source], scores[name].anomalies[source]) for source in one.anomalies]
        for part, other in parts:
            assert part.keys() == other.keys()
            for column in part:
                np.testing.assert_array_equal(part[column], other[column])
                assert part[column].dtype == other[column].dtype


def test_without_sources_and_without_test_images(tmp_path):
    study = scored.study(n_test=0)
    study.anomalies = {}
    score_clip.write(tmp_path / "scores.h5", scores_of(study)[0], {})
    found = score_clip.read(tmp_path / "scores.h5")
    assert found[ENSEMBLE].anomalies == {}
    assert found[ENSEMBLE].test["scores"].shape == (0, 2)


def test_features_and_parents_that_are_missing_are_errors():
    study = scored.study()
    study.anomalies["one"][2][0, 0] = "b/train0"
    with pytest.raises(InputError, match="'one', task 'a', has the parent 'b/train0', which is not in the support set"):
        scores_of(study)
    features, ids = study.prepared
    study.prepared = Features(features[1:], ids[1:])
    with pytest.raises(InputError, match=rf"support.h5 lacks the features of 1 images, first '{ids[0]}'"):
        scores_of(study)


# The workflow

PAIRS = [["a photo of a {}", "a photo of something"], ["a dark {}", "something dark"]]
EMBED = {"embed_images": 1, "embed_support": 1, "embed_anomalies": 1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A directory with the prompt scores of one digit, and the config, whose target is that file."""
    directory = tmp_path_factory.mktemp("prompts")
    config = {
        "datasets": {"digits": {"kind": "digits", "tasks": ["3"]}},
        "support": {"seeds": 4},
        "sources": {"cutpaste": {}},
        "candidates": ["descriptor:lbp"],
        "clip": {"model": tiny_clip.save(directory / "tiny"), "templates": PAIRS},
        "preparation": {"size": 32},
        "runtime": {"device": "cpu", "threads": 1},
    }
    slug = config["clip"]["model"].replace(":", "-").replace("/", "-").replace("--", "-")
    target = f"results/digits/scores/{slug}.h5"
    snakemake(directory, config, target)
    return directory, config, target


@pytest.mark.slow
def test_scores_of_the_workflow(finished):
    directory, config, target = finished
    scores = score_clip.read(directory / target)
    assert list(scores) == ["a photo of a {}", "a dark {}", ENSEMBLE]
    one = scores["a dark {}"]
    assert one.test["scores"].shape == (1497, 1) and one.anomalies["cutpaste"]["scores"].shape == (4,)
    assert one.attributes["model"] == config["clip"]["model"] and one.attributes["anomalous"] == "something dark"
    assert one.attributes["feature_size"] == 16 and one.attributes["n_parameters"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("templates", "expected"),
    [
        (PAIRS, {}),
        ([PAIRS[0], ["a dark {}", "a dark thing"]], {"score_clip": 1}),
        ([*PAIRS, ["a bright {}", "something bright"]], {"score_clip": 1}),
        (PAIRS[::-1], {"score_clip": 1}),
        (PAIRS[:1], {"score_clip": 1}),
    ],
    ids=["the same", "edited", "added", "reordered", "removed"],
)
def test_templates_embed_no_image_again(finished, templates, expected):
    directory, config, target = finished
    config = copy.deepcopy(config)
    config["clip"]["templates"] = templates
    assert dry_run(directory, config, target) == expected
    config["clip"]["templates"] = "industrial"  # what the data set's own override replaces
    config["datasets"]["digits"]["templates"] = templates
    assert dry_run(directory, config, target) == expected


@pytest.mark.slow
def test_what_else_scores_prompts_again(finished):
    directory, config, target = finished
    assert dry_run(directory, config | {"knn": {"k": 1}}, target) == {}
    assert dry_run(directory, config | {"candidates": ["descriptor:hog", "descriptor:lbp"]}, target) == {}
    assert dry_run(directory, config | {"precision": "bfloat16"}, target) == EMBED | {"score_clip": 1}
