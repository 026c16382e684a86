"""The score stage of the CLIP prompts: all tasks and prompts of a data set in one pass, and the file that holds the result.

A score is the logit of the anomalous text minus that of the normal one: the order of the softmax, without its ties.
There is no bank: real images, support images as prepared and synthetic anomalies are scored alike, the latter two by
the texts of their own task only.

Layout of results/{dataset}/scores/{CLIP model}.h5, T tasks in the order of `tasks`, P prompts, the ensemble last:

    tasks                       (T,) text
    prompts/name                (P,) text
    prompts/normal, anomalous   (P,) text: the templates, "" for the ensemble
    test/image_id               (n,) text
    test/scores                 (P, n, T) float64
    support/image_id            (s,) text: the support sets, seeds first, task after task
    support/task                (s,) int, row of `tasks`
    support/held_out            (s,) bool
    support/scores              (P, s) float64
    anomalies/{source}/task     (n,) int; within a task in the order of the source's file
    anomalies/{source}/parents  (n, A) int, rows within the task's support set, -1 for none
    anomalies/{source}/scores   (P, n) float64
    reconstructions/{source}/…  as of anomalies, of the seed images that a source sent through its network and back

Attributes: model, n_parameters (of the image tower), feature_size, weights_sha256, transform, skipped, logit_scale.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from swsa_core.candidates.prompts import ENSEMBLE, prompt_names
from swsa_core.detectors.clip import anomaly_logit, ensemble
from swsa_core.detectors.scores import (
    COLUMNS,
    Anomalies,
    Features,
    Scores,
    anomaly_rows,
    banks_of,
    features_of,
    groups_of,
    support_rows,
)
from swsa_core.files import store
from swsa_core.files.support import Support

PROMPT = ("name", "normal", "anomalous")  # what the file says of each prompt


def score_dataset(
    supports: Sequence[Support],
    images: Features,
    test_ids: Sequence[str],
    prepared: Features,
    anomalies: Mapping[str, Anomalies],
    templates: Sequence[tuple[str, str]],
    text_features: np.ndarray,
    logit_scale: float,
) -> dict[str, Scores]:
    """{prompt name: `Scores`} for all tasks of a data set, in the order of `templates`, ENSEMBLE last.

    supports, images, test_ids, prepared, anomalies: as of `swsa_core.detectors.score_knn.score_dataset`, features of
    the image tower. templates: P pairs [normal, anomalous]; text_features: (T, P, 2, d) of their texts for each task;
    logit_scale: float.
    """
    texts = np.stack([[*of_task, ensemble(of_task)] for of_task in text_features])  # (T, P + 1, 2, d)
    banks, support = banks_of(supports), support_rows(supports)
    test = _score_all(features_of(images, test_ids, "images.h5"), texts, logit_scale)  # (n, T, P + 1)
    support_features = features_of(prepared, support["image_id"], "support.h5")
    support_scores = _score_own(support_features, support["task"], texts, logit_scale)  # (s, P + 1)
    parts, scores = {}, {}
    for source, made in anomalies.items():
        rows, parts[source] = anomaly_rows(source, made.tasks, made.parents, banks)
        scores[source] = _score_own(made.features[rows], parts[source]["task"], texts, logit_scale)  # (n, P + 1)
    image_ids = np.array(test_ids, dtype=object)
    return {
        name: Scores(
            tasks=list(banks),
            test={"image_id": image_ids, "scores": test[:, :, p]},
            support=support | {"scores": support_scores[:, p]},
            anomalies={source: part | {"scores": scores[source][:, p]} for source, part in parts.items()},
            attributes={"candidate": name, "normal": normal, "anomalous": anomalous},
        )
        for p, (name, (normal, anomalous)) in enumerate(
            zip([*prompt_names(templates), ENSEMBLE], [*templates, ("", "")], strict=True)
        )
    }


def _score_all(features, texts, logit_scale):
    """Scores (n, T, P) of every image by the texts (T, P, 2, d) of every task."""
    n_tasks, n_prompts, sides, d = texts.shape
    logits = anomaly_logit(features, texts.reshape(n_tasks * n_prompts, sides, d), logit_scale)
    return logits.reshape(len(features), n_tasks, n_prompts)


def _score_own(features, task, texts, logit_scale):
    """Scores (n, P) of images by the texts (T, P, 2, d) of the task (n,) of each."""
    scores = np.empty((len(features), texts.shape[1]))
    for t in range(len(texts)):
        mine = task == t
        scores[mine] = anomaly_logit(features[mine], texts[t], logit_scale)
    return scores


def write(path: Path | str, scores: Mapping[str, Scores], attributes: Mapping) -> None:
    """Write {prompt name: `Scores`} to an HDF5 file; attributes: those in the layout above."""
    every = list(scores.values())
    first = every[0]
    arrays = {"tasks": np.array(first.tasks, dtype=object)}
    arrays |= {
        f"prompts/{key}": np.array([one.attributes[attribute] for one in every], dtype=object)
        for key, attribute in (("name", "candidate"), ("normal", "normal"), ("anomalous", "anomalous"))
    }
    for part, columns in first.parts.items():
        arrays |= {f"{part}/{name}": values for name, values in columns.items()}
        arrays[f"{part}/scores"] = np.stack([one.parts[part]["scores"] for one in every])
    store.write(path, arrays, attributes)


def read(path: Path | str, sources: Iterable[str] = ()) -> dict[str, Scores]:
    """{prompt name: `Scores`} from an HDF5 file, the ensemble last; anomalies in the order of `sources`, else by name."""
    arrays, attributes = store.read(path, needed=[*COLUMNS, *(f"prompts/{key}" for key in PROMPT)])
    prompts = [arrays.pop(f"prompts/{key}") for key in PROMPT]
    tasks = arrays.pop("tasks").tolist()
    groups, anomalies, reconstructions = groups_of(arrays)
    anomalies = {source: anomalies[source] for source in sources if source in anomalies} or anomalies

    def of_prompt(p, columns):
        return columns | {"scores": columns["scores"][p]}

    return {
        name: Scores(
            tasks,
            of_prompt(p, groups["test"]),
            of_prompt(p, groups["support"]),
            {source: of_prompt(p, columns) for source, columns in anomalies.items()},
            attributes | {"candidate": name, "normal": normal, "anomalous": anomalous},
            {source: of_prompt(p, columns) for source, columns in reconstructions.items()},
        )
        for p, (name, normal, anomalous) in enumerate(zip(*prompts, strict=True))
    }
