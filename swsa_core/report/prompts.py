"""The report's part on prompts: which one to deploy with the CLIP model, and how all of them do on each task."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from swsa_core.candidates import family_of
from swsa_core.candidates.prompts import ENSEMBLE, prompt_names, prompts
from swsa_core.candidates.section import clip_backbone
from swsa_core.datasets import kind_of
from swsa_core.strategies import combinations


def prompt_parts(
    config: dict[str, Any], auroc: pd.DataFrame, picks: pd.DataFrame, class_names: Mapping[str, Mapping[str, str]]
) -> list[dict[str, Any]]:
    """What the template shows of each data set: a list of {"name", "note", "source", "protocol", "settings", "tasks"}.

    config: the validated dict; auroc, picks: the rows of selection "prompt" of all data sets; class_names: {data set:
    {task: its name in prompts}}. `note` is what a reader must know before the picks, or "".
    A task is {"pick": its recommended row of picks, "class_name", "prompts": [row], "ensemble": row}; a row has the
    templates `normal` and `anomalous`, the `texts` [normal, anomalous] made of them, the AUROC `synthetic` (of the
    deciding source and protocol) and `real` {setting: AUROC}, whether it was `picked`, and the settings in which it is
    the `best`. AUROCs that are not known are NaN.
    """
    parts = []
    for name, recommended in picks[picks["recommended"]].groupby("dataset", sort=False):
        rows = auroc[(auroc["dataset"] == name) & (auroc["n_anomalies"].astype(str) == "all")]
        rows = rows[~rows["candidate"].isin(combinations())]
        aurocs = rows.set_index(["task", "validation", "protocol", "setting", "candidate"])["auroc"].sort_index()
        settings = [setting for setting in dict.fromkeys(rows["setting"]) if setting]
        dataset = config["datasets"][name]
        clip = clip_backbone(config["clip"])
        parts.append(
            {
                "name": name,
                "note": family_of(clip).note(clip, kind_of(dataset).mini_clip),
                "source": recommended["source"].iloc[0],
                "protocol": recommended["protocol"].iloc[0],
                "settings": settings,
                "tasks": [
                    _task(pick, aurocs, settings, dataset["templates"], class_names[name][pick["task"]])
                    for pick in recommended.to_dict("records")
                ],
            }
        )
    return parts


def _task(pick, aurocs, settings, templates, class_name):
    of_task = aurocs[pick["task"]]
    synthetic = of_task[pick["source"], pick["protocol"], ""]
    missing = pd.Series(float("nan"), index=synthetic.index)
    real = {setting: of_task.get(("real", "", setting), missing) for setting in settings}
    rows = [
        {
            "normal": normal,
            "anomalous": anomalous,
            "texts": prompts([(normal, anomalous)], class_name)[0],
            "synthetic": synthetic[name],
            "real": {setting: values[name] for setting, values in real.items()},
            "picked": name == pick["candidate"],
            "best": {s for s, values in real.items() if values[name] == values.drop(ENSEMBLE).max()},
        }
        for name, (normal, anomalous) in zip([*prompt_names(templates), ENSEMBLE], [*templates, ("", "")], strict=True)
    ]
    return {"pick": pick, "class_name": class_name, "prompts": rows[:-1], "ensemble": rows[-1]}
