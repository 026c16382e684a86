"""The numbers that the papers print, beside which `swsa_core.paper.tables` puts those of a study.

Source of table1, 2 and 3.csv: Fung, Qiu, Li, Rudolph, "Model Selection of Anomaly Detectors in the Absence of
Labeled Validation Data", Tables 1 to 3; of mvtec_prompts.csv: A.1 of its earlier version, in words. The data sets
are named by their `kind` in a config. τ in Table 2 is cut off after three digits, not rounded.
"""

from pathlib import Path

import pandas as pd

from swsa_core.files.text import read_table

TEXT = ["selection", "setting", "strategy", "source", "kind", "group", "n_anomalies"]


def printed(name: str) -> pd.DataFrame:
    """The numbers of one table, "table1", "table2", "table3" or "mvtec_prompts"; NaN where the paper has a dash."""
    return read_table(Path(__file__).with_name(f"{name}.csv"), text=TEXT)
