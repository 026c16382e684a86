"""Protocols and AUROCs against plain loops over scikit-learn, on the bank with rows really removed."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scored
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from swsa_core.basics.errors import InputError
from swsa_core.detectors.scores import Scores
from swsa_core.evaluation import evaluate as stage
from swsa_core.evaluation.evaluate import evaluate
from swsa_core.evaluation.protocols import PROTOCOLS, compare

SETTINGS = ["one_vs_rest", "one_vs_closest", "one_vs_one"]


def eq4(query, bank, k=3):
    distances, _ = NearestNeighbors(n_neighbors=k, algorithm="kd_tree").fit(bank).kneighbors(query[None])
    return (distances[0] ** 2).sum().round(9)


def without(bank, rows):
    return np.delete(bank, [row for row in rows if row >= 0], axis=0)


def auroc(anomalies, normals):
    labels = np.repeat([1, 0], [len(anomalies), len(normals)])
    return roc_auc_score(labels, np.concatenate([anomalies, normals]))


def by_loops(study, task, source, protocol, sizes):
    """{size: (AUROC, number of normals, of anomalies)} of one task, straight from the definitions."""
    support = next(one for one in study.supports if one["task"] == task)
    ids = support["seed_ids"] + support["held_out_ids"]
    bank = study.features(study.prepared, ids).astype(float)
    features, of, parent_ids = study.anomalies[source]
    features = features[of == task].astype(float)
    parents = [[ids.index(parent) for parent in row] for row in parent_ids[of == task]]
    if protocol == "paper":
        held_out = range(len(support["seed_ids"]), len(ids)) if support["held_out_ids"] else range(len(ids))
        anomalies, normals = [eq4(one, bank) for one in features], [eq4(bank[row], bank) for row in held_out]
    else:
        anomalies = [eq4(one, without(bank, rows)) for one, rows in zip(features, parents, strict=True)]
        normals = [eq4(one, without(bank, [row])) for row, one in enumerate(bank)]
    if protocol == "reconstructed" and source in study.reconstructions:
        again, of, seed_ids = study.reconstructions[source]
        seeds = [ids.index(image_id) for image_id in seed_ids[of == task, 0]]
        normals = [
            eq4(one, without(bank, [row])) for one, row in zip(again[of == task].astype(float), seeds, strict=True)
        ]
    order, found = np.argsort(anomalies, kind="stable"), {}
    for size in sizes:
        chosen = order if size == "all" else order[:size]
        if protocol != "paired" or not parents[0]:
            found[str(size)] = auroc(np.array(anomalies)[chosen], normals), len(normals), len(chosen)
            continue
        shares = []
        for row in chosen:
            normals_of_row = [eq4(bank[parent], without(bank, parents[row])) for parent in parents[row]]
            shares.append(np.mean([(anomalies[row] > one) + 0.5 * (anomalies[row] == one) for one in normals_of_row]))
        found[str(size)] = np.mean(shares), len({row for rows in parents for row in rows}), len(chosen)
    return found


@pytest.mark.parametrize("source", ["one", "two", "pool"])
@pytest.mark.parametrize("n_seeds", [6, 10])  # with held-out images and without
@pytest.mark.parametrize("whole_numbers", [False, True])  # without ties and with
def test_protocols_are_those_of_plain_loops(source, n_seeds, whole_numbers):
    study = scored.study(sizes=(8, 10), n_seeds=n_seeds, whole_numbers=whole_numbers)
    sizes = ["all", 10, 5]
    table = evaluate(
        {"one": study.scores()}, study.index, scored.SPEC, protocols=list(PROTOCOLS), settings=SETTINGS, hardest=sizes
    )
    table = table[table.validation == source]
    assert len(table) == 2 * len(PROTOCOLS) * len(sizes)
    for (task, protocol), rows in table.groupby(["task", "protocol"]):
        expected = by_loops(study, task, source, protocol, sizes)
        for row in rows.itertuples():
            found = row.auroc, row.n_normal, row.n_anomalous
            assert found == pytest.approx(expected[row.n_anomalies], abs=1e-9), (task, protocol, row.n_anomalies)
            assert (row.setting, row.closest) == ("", "")


def test_an_image_in_its_own_bank_looks_normal_in_paper_only():
    study = scored.study(n_seeds=10)
    scores = study.scores()
    paper, alone = (compare(scores, "a", "pool", protocol).wins.mean() for protocol in ("paper", "leave_one_out"))
    assert paper > alone


def test_paired_is_leave_one_out_for_anomalies_without_parents():
    scores = scored.study().scores()
    paired, alone = (compare(scores, "b", "pool", protocol) for protocol in ("paired", "leave_one_out"))
    np.testing.assert_array_equal(paired.wins, alone.wins)


def test_reconstructed_is_leave_one_out_for_sources_without_reconstructions():
    scores = scored.study().scores()
    reconstructed, alone = (compare(scores, "b", "one", protocol) for protocol in ("reconstructed", "leave_one_out"))
    np.testing.assert_array_equal(reconstructed.wins, alone.wins)
    assert compare(scores, "b", "two", "reconstructed").normals.tolist() == list(range(6))  # the seeds stand first


@pytest.mark.parametrize("other", [{}, {"two": "shuffled"}])
def test_reconstructions_must_be_alike(other):
    one, two = scored.study(0).scores(), scored.study(1).scores()
    if other:
        part = two.reconstructions["two"]
        other = {"two": part | {"parents": part["parents"][::-1]}}
    with pytest.raises(InputError, match=r"'one' are of different (sources|two reconstructions): delete both"):
        stage.check_alike({"one": one, "two": replace(two, reconstructions=other)})


@pytest.mark.parametrize(
    ("protocol", "fits"), [("paper", 4), ("leave_one_out", 2), ("paired", 2), ("reconstructed", 2)]
)
def test_too_few_neighbours_left_is_an_error_that_names_task_bank_and_k(protocol, fits):
    scores = scored.study(sizes=(4, 9)).scores(k=fits)
    compare(scores, "a", "two", protocol)
    scores.attributes["k"] = fits + 1
    message = rf"'{protocol}', task 'a', source 'two': the bank of 4 images is too small for knn\.k = {fits + 1}"
    with pytest.raises(InputError, match=message):
        compare(scores, "a", "two", protocol)


def test_hardest_by_mean_rank_takes_the_same_anomalies_for_all_candidates():
    comparisons = {str(seed): compare(scored.study(seed).scores(), "a", "one", "leave_one_out") for seed in range(3)}
    shared = stage.hardest_first(comparisons, "mean_rank")
    assert len({tuple(order) for order in shared.values()}) == 1
    own = stage.hardest_first(comparisons)
    assert all((np.diff(comparisons[name].scores[order]) >= 0).all() for name, order in own.items())


def real_by_loops(study, scores, task):
    """(one_vs_rest, {out-class: AUROC}) of one task."""
    column = dict(zip(scores.test["image_id"], scores.test["scores"][:, scores.tasks.index(task)], strict=True))
    test = study.index[(study.index.split == "test") & study.index.image_id.isin(column)]
    values = test.image_id.map(column)
    normals = values[test.group == task]
    out = [group for group in sorted(set(test.group)) if group != task]
    return auroc(values[test.group != task], normals), {
        group: auroc(values[test.group == group], normals) for group in out
    }


@pytest.mark.parametrize("whole_numbers", [False, True])
def test_real_settings_are_those_of_plain_loops(whole_numbers):
    studies = {name: scored.study(seed, (8, 8, 9, 8), whole_numbers=whole_numbers) for seed, name in enumerate("xyz")}
    for study in studies.values():  # an image that the embedding left out
        study.index = study.index[study.index.image_id != "b/test3"].reset_index(drop=True)
    index = scored.study(0, (8, 8, 9, 8)).index
    scores = {name: study.scores() for name, study in studies.items()}
    whole = evaluate(scores, index, scored.SPEC, protocols=[], settings=SETTINGS)
    shared = evaluate(scores, index, scored.SPEC, protocols=[], settings=SETTINGS, closest="shared")
    table = whole.set_index(["task", "candidate", "setting"])
    assert set(whole.validation) == {"real"} and set(whole.n_anomalies) == {"all"} and set(whole.protocol) == {""}
    for task in "abcd":
        pairs = {name: real_by_loops(study, scores[name], task)[1] for name, study in studies.items()}
        means = pd.DataFrame(pairs).mean(axis=1)
        for name, study in studies.items():
            rest, each = real_by_loops(study, scores[name], task)
            worst = min(each, key=each.get)
            expected = {"one_vs_rest": rest, "one_vs_closest": each[worst], "one_vs_one": np.mean(list(each.values()))}
            for setting, value in expected.items():
                row = table.loc[(task, name, setting)]
                assert row.auroc == pytest.approx(value, abs=1e-9)
                assert row.n_normal == 8 + (task != "b")
                assert row.closest == (worst if setting == "one_vs_closest" else "")
            assert table.loc[(task, name, "one_vs_rest")].n_anomalous == 26 + (task == "b")
            assert table.loc[(task, name, "one_vs_closest")].n_anomalous == 8 + (worst != "b")
            row = shared[
                (shared.task == task) & (shared.candidate == name) & (shared.setting == "one_vs_closest")
            ].iloc[0]
            assert means[row.closest] == pytest.approx(means.min())
            assert row.auroc == pytest.approx(each[row.closest], abs=1e-9)


def test_an_image_with_two_defect_types_counts_once_in_the_rest():
    index = pd.DataFrame(
        [["bank", "cup", "train", "good"]]
        + [[f"good{i}", "cup", "test", "good"] for i in range(3)]
        + [["x", "cup", "test", "bent"], ["y", "cup", "test", "bent, cut"], ["z", "cup", "test", "cut"]],
        columns=["image_id", "class", "split", "group"],
    )
    test = index.image_id[1:].to_numpy()
    values = np.array([[1.0], [2.0], [3.0], [0.5], [2.5], [9.0]])
    empty = {"image_id": np.array(["bank"]), "task": np.array([0]), "held_out": np.array([False]), "scores": np.ones(1)}
    scores = {"one": Scores(["cup"], {"image_id": test, "scores": values}, empty, {})}
    spec = {"kind": "visa", "groups": "atomic", "min_group_size": 1}
    table = (
        evaluate(scores, index, spec, protocols=[], settings=SETTINGS).query("candidate == 'one'").set_index("setting")
    )
    assert table.auroc.to_dict() == pytest.approx(
        {"one_vs_rest": (0 + 2 + 3) / 9, "one_vs_closest": 2 / 6, "one_vs_one": (2 / 6 + 5 / 6) / 2}
    )
    assert table.n_anomalous.to_dict() == {"one_vs_rest": 3, "one_vs_closest": 2, "one_vs_one": 4}


def real_scores(columns, groups):
    """(scores, index) of one product: columns: {candidate: score of each test image}; groups: their labels."""
    index = pd.DataFrame({"image_id": [f"{i}" for i in range(len(groups))], "class": "cup", "split": "test"})
    index["group"] = groups
    empty = {"image_id": np.array(["bank"]), "task": np.array([0]), "held_out": np.array([False]), "scores": np.ones(1)}
    scores = {
        name: Scores(["cup"], {"image_id": index.image_id.to_numpy(), "scores": np.array(values)[:, None]}, empty, {})
        for name, values in columns.items()
    }
    return scores, index


@pytest.mark.parametrize("closest", ["candidate", "shared"])
def test_small_groups_are_left_out_of_the_rows_by_group_but_not_of_the_rest(closest):
    groups = ["good", "good", "a", "b", "b"]
    scores, index = real_scores({"one": [1.0, 3, 2, 9, 0]}, groups)
    for size, expected, n_anomalous in [
        (1, {"one_vs_rest": 3 / 6, "one_vs_closest": 1 / 2, "one_vs_one": 1 / 2}, [3, 1, 3]),
        (2, {"one_vs_rest": 3 / 6, "one_vs_closest": 2 / 4, "one_vs_one": 2 / 4}, [3, 2, 2]),
        (3, {"one_vs_rest": 3 / 6}, [3]),
    ]:
        spec = {"kind": "visa", "groups": "exact", "min_group_size": size}
        table = evaluate(scores, index, spec, protocols=[], settings=SETTINGS, closest=closest).query(
            "candidate == 'one'"
        )
        table = table.set_index("setting")
        assert table.auroc.to_dict() == pytest.approx(expected)
        assert table.n_anomalous.tolist() == n_anomalous and (table.n_normal == 2).all()


def test_candidates_with_the_same_aurocs_in_another_order_tie_in_one_vs_one():
    normals, groups = np.arange(10) + 0.5, [f"type {i}" for i in range(7)]
    wins = [3, 1, 7, 9, 2, 6, 1]  # of ten normals
    orders = [np.random.default_rng(seed).permutation(wins) for seed in range(30)]
    columns = {str(c): [*normals, *order] for c, order in enumerate(orders)}
    scores, index = real_scores(columns, ["good"] * 10 + groups)
    spec = {"kind": "visa", "groups": "exact", "min_group_size": 1}
    table = evaluate(scores, index, spec, protocols=[], settings=["one_vs_one"])
    assert len({np.mean(order / 10) for order in orders}) > 1, "a plain mean breaks the ties"
    assert table.auroc.nunique() == 1 and table.auroc[0] == pytest.approx(np.mean(wins) / 10)


def test_a_combination_sees_the_scores_of_the_candidates_alone_and_is_none_of_them():
    groups = ["good", "good", "a", "a"]
    columns = {"one": [1.0, 4, 2, 3], "two": [10.0, 20, 40, 30], "prompt_ensemble": [9.0, 8, 1, 0]}
    scores, index = real_scores(columns, groups)
    spec = {"kind": "visa", "groups": "exact", "min_group_size": 1}
    combinations = {"of_ranks": lambda scores, known: rankdata(scores, axis=0).mean(axis=1)}
    options = {"protocols": [], "settings": SETTINGS, "closest": "shared", "combinations": combinations}
    table = evaluate(scores, index, spec, **options).set_index(["candidate", "setting"])
    # mean ranks of the first two: 1, 3, 3, 3
    assert table.auroc["of_ranks", "one_vs_rest"] == (1 + 0.5) / 2
    assert table.auroc["prompt_ensemble", "one_vs_rest"] == 0


def test_a_data_set_without_labels_has_synthetic_rows_only():
    study = scored.study(n_test=0)
    table = evaluate({"one": study.scores()}, study.index, scored.SPEC, protocols=["leave_one_out"], settings=SETTINGS)
    assert set(table.validation) == {"one", "two", "pool"}
    assert table.columns.tolist() == stage.AUROC.columns[1:]


def test_hardest_sizes_above_what_there_is_take_all():
    study = scored.study()
    table = evaluate(
        {"one": study.scores()}, study.index, scored.SPEC, protocols=["paper"], settings=[], hardest=["all", 1000]
    )
    found = table[(table.task == "a") & (table.validation == "pool")]
    assert found.n_anomalous.tolist() == [11, 11]
    assert found.auroc.nunique() == 1
    assert found.n_anomalies.tolist() == ["all", "1000"]


def test_a_candidate_with_plain_scores_differs_between_protocols_by_its_normals_only():
    knn = scored.study().scores()
    generator = np.random.default_rng(0)

    def plain(part):
        kept = {name: values for name, values in part.items() if name not in ("neighbours", "distances")}
        return kept | {"scores": generator.normal(size=len(part["task"]))}

    anomalies = {source: plain(part) for source, part in knn.anomalies.items()}
    clip = Scores(knn.tasks, knn.test, plain(knn.support), anomalies)
    support, two = clip.of_task(clip.support, "a"), clip.of_task(clip.anomalies["two"], "a")
    found = {protocol: compare(clip, "a", "two", protocol).wins.mean() for protocol in PROTOCOLS}
    pairs = [
        np.mean([(value > support["scores"][row]) for row in rows])
        for value, rows in zip(two["scores"], two["parents"], strict=True)
    ]
    assert found == pytest.approx(
        {
            "paper": auroc(two["scores"], support["scores"][support["held_out"]]),
            "leave_one_out": auroc(two["scores"], support["scores"]),
            "paired": np.mean(pairs),
            "reconstructed": auroc(two["scores"], support["scores"]),  # no reconstructions were scored
        }
    )


def test_candidates_scored_on_different_anomalies_are_refused():
    one, other = scored.study().scores(), scored.study().scores()
    other.anomalies["two"]["parents"] = other.anomalies["two"]["parents"][:, ::-1]
    with pytest.raises(InputError, match="'other' and 'one' are of different two anomalies"):
        evaluate(
            {"one": one, "other": other}, scored.study().index, scored.SPEC, protocols=["paper"], settings=SETTINGS
        )


def test_a_mixture_of_anomalies_with_and_without_parents_is_refused():
    scores = scored.study().scores()
    scores.anomalies["one"]["parents"][0] = -1
    with pytest.raises(InputError, match="task 'a': expected parents of all anomalies of 'one' or of none"):
        compare(scores, "a", "one", "paired")
