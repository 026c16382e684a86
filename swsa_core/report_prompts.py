"""The report's part on prompts: which one to deploy with the CLIP model, and how all of them do on each task."""

import pandas as pd

from swsa_core.consensus import RANK_ENSEMBLE
from swsa_core.detectors.prompts import ENSEMBLE, prompt_names


def prompt_parts(datasets, auroc, picks):
    """What the template shows of each data set: a list of {"name", "source", "protocol", "settings", "tasks"}.

    datasets: the config's, with resolved `templates`; auroc, picks: the rows of selection "prompt" of all data sets.
    A task is {"pick": its recommended row of picks, "prompts": [row], "ensemble": row}; a row has the texts `name`,
    `normal` and `anomalous`, the AUROC `synthetic` (of the deciding source and protocol) and `real` {setting: AUROC},
    whether it was `picked`, and the settings in which it is the `best`. AUROCs that are not known are NaN.
    """
    parts = []
    for name, recommended in picks[picks["recommended"]].groupby("dataset", sort=False):
        rows = auroc[(auroc["dataset"] == name) & (auroc["n_anomalies"].astype(str) == "all")]
        rows = rows[rows["candidate"] != RANK_ENSEMBLE]
        aurocs = rows.set_index(["task", "validation", "protocol", "setting", "candidate"])["auroc"]
        settings = [setting for setting in dict.fromkeys(rows["setting"]) if setting]
        templates = datasets[name]["templates"]
        parts.append(
            {
                "name": name,
                "source": recommended["source"].iloc[0],
                "protocol": recommended["protocol"].iloc[0],
                "settings": settings,
                "tasks": [_task(pick, aurocs, settings, templates) for pick in recommended.to_dict("records")],
            }
        )
    return parts


def _task(pick, aurocs, settings, templates):
    of_task = aurocs[pick["task"]]
    synthetic = of_task[pick["source"], pick["protocol"], ""]
    missing = pd.Series(float("nan"), index=synthetic.index)
    real = {setting: of_task.get(("real", "", setting), missing) for setting in settings}
    rows = [
        {
            "name": name,
            "normal": normal,
            "anomalous": anomalous,
            "synthetic": synthetic[name],
            "real": {setting: values[name] for setting, values in real.items()},
            "picked": name == pick["candidate"],
            "best": {s for s, values in real.items() if values[name] == values.drop(ENSEMBLE).max()},
        }
        for name, (normal, anomalous) in zip([*prompt_names(templates), ENSEMBLE], [*templates, ("", "")], strict=True)
    ]
    return {"pick": pick, "prompts": rows[:-1], "ensemble": rows[-1]}
