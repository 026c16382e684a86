from workflow_scripts.job import job

import pandas as pd

from swsa_core.elsewhere.called import scored_by
from swsa_core.elsewhere.manifest import MANIFEST
from swsa_core.elsewhere.scores import ANSWERS

with job(snakemake) as mine:
    found = []
    for answers in scored_by(mine.settings["scoring"]["call"], MANIFEST.read(snakemake.input.manifest)):
        found.append(answers)
        print(f"{answers.task.iloc[0]}, fold {answers.fold.iloc[0]}: {len(answers)} images")
    ANSWERS.write(snakemake.output[0], pd.concat(found))
