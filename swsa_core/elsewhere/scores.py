"""Scores that were made elsewhere: a CSV that answers a manifest, checked row by row, as the `Scores` of a candidate.

The layout is that of `swsa_core.exposure.scores`, whose networks are the detectors of the folds here. An anomaly and a normal
image are compared where one fold's detector scored both.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.basics.wording import plural
from swsa_core.detectors.scores import Scores, anomaly_rows, banks_of, support_rows
from swsa_core.elsewhere.manifest import NORMAL, SCORE, TEST, number_of_folds, requests
from swsa_core.exposure.folds import folds_of
from swsa_core.files.support import Support

if TYPE_CHECKING:
    import pandas as pd

KEY = ["dataset", "task", "fold", "image"]
HEAD = "given"  # in place of a head's name
TRANSFORM = "made elsewhere"


def read_scores(path: Path | str, manifest: "pd.DataFrame", dataset: str) -> "pd.Series":
    """The scores of a data set's images, {(task, fold, image): score}.

    path: CSV with the columns `KEY` and score, of one data set or several, rows in any order; others are not read. manifest:
    the table `MANIFEST` that it answers. Raises InputError for a row that lacks, is unknown or stands twice, and for a score
    that is no finite number of 0 or more: what combines candidates takes logarithms.
    """
    import pandas as pd

    try:
        given = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a CSV of scores ({' '.join(str(error).split())})") from error
    if missing := [column for column in (*KEY, "score") if column not in given]:
        raise InputError(f"{path} lacks the columns {missing}, expected {', '.join((*KEY, 'score'))}: add them")
    given = given[given["dataset"] == dataset]
    wanted = manifest[manifest["role"] == SCORE]
    rows, asked = (pd.MultiIndex.from_frame(table[KEY[1:]]) for table in (given, wanted))
    for problem, which in (
        ("has several times", rows[rows.duplicated()]),
        ("lacks", asked.difference(rows, sort=False)),
        ("has, though it is not asked for,", rows.difference(asked, sort=False)),
    ):
        if len(which):
            task, fold, image = which[0]
            raise InputError(
                f"{path} {problem} {plural(len(which), 'row')} of data set {dataset!r}, first task {task!r}, fold {fold!r}, "
                f"image {image!r}: expected the rows of role {SCORE} of images.csv, each once; where the images were "
                "written anew since, score them again"
            )
    scores = pd.to_numeric(given["score"], errors="coerce").to_numpy(float)
    if (bad := ~(np.isfinite(scores) & (scores >= 0))).any():
        first = given[bad].iloc[0]
        raise InputError(
            f"{path}: the score of task {first['task']!r}, fold {first['fold']!r}, image {first['image']!r} is "
            f"{first['score']!r}, expected a finite number of 0 or more, higher for what is more anomalous"
        )
    return pd.Series(scores, rows)


def scores_of(
    supports: Sequence[Support],
    test_ids: Sequence[str],
    made: Mapping[str, tuple[np.ndarray, np.ndarray]],
    manifest: "pd.DataFrame",
    given: "pd.Series",
) -> Scores:
    """`Scores` of a data set. made: {source: task names (n,) and parents (n, P) of its anomalies}; given: of `read_scores`.

    Raises InputError where the manifest is not the one of these images.
    """
    banks = banks_of(supports)
    support = support_rows(supports)
    support |= {"scores": np.zeros(len(support["task"])), "network": np.zeros(len(support["task"]), dtype=int)}
    folds = max(map(number_of_folds, map(len, banks.values())))
    anomalies = {
        source: part | {"by_network": np.zeros((n := len(part["task"]), folds)), "counted": np.zeros((n, folds), bool)}
        for source, origins in made.items()
        for part in [anomaly_rows(source, *origins, banks)[1]]
    }
    test = np.zeros((len(test_ids), len(banks)))
    for t, (task, bank) in enumerate(banks.items()):
        places = {source: np.flatnonzero(part["task"] == t) for source, part in anomalies.items()}
        places[NORMAL] = np.flatnonzero(support["task"] == t)
        support["network"][places[NORMAL]] = folds_of(len(bank), number_of_folds(len(bank)))
        parents = {source: part["parents"][places[source]] for source, part in anomalies.items()}
        asked = [one for one in requests(len(bank), len(test_ids), parents) if one.role == SCORE]
        listed = manifest[(manifest["task"] == task) & (manifest["role"] == SCORE)]
        if [one.fold for one in asked] != listed["fold"].tolist():
            raise InputError(
                f"the list of images to score is not of the images of task {task!r}: run images_to_score again"
            )
        values = given[[(task, fold, image) for fold, image in zip(listed["fold"], listed["image"], strict=True)]]
        for one, value in zip(asked, values.to_numpy(), strict=True):
            if one.part == TEST:
                test[one.row, t] = value
            elif one.part == NORMAL:
                support["scores"][places[NORMAL][one.row]] = value
            else:
                row = places[one.part][one.row]
                anomalies[one.part]["by_network"][row, int(one.fold)] = value
                anomalies[one.part]["counted"][row, int(one.fold)] = True
    for part in anomalies.values():
        part["scores"] = part["by_network"].sum(axis=1) / np.maximum(part["counted"].sum(axis=1), 1)
    of_test = {"image_id": np.array(test_ids, dtype=object), "scores": test}
    return Scores(list(banks), of_test, support, anomalies)
