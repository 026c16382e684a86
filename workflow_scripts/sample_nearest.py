from workflow_scripts.job import job

import pandas as pd

from swsa_core.anomalies import SOURCES
from swsa_core.anomalies.pool import NEAREST_ROWS
from swsa_core.anomalies.source import mixtures
from swsa_core.detectors.scores import Features, banks_of, features_of
from swsa_core.files import store
from swsa_core.files.support import read_task_supports

with job(snakemake) as mine:
    settings, source, given = mine.settings, SOURCES[snakemake.params.source["name"]].of_pool, snakemake.input
    (prepared, _), (pool, _) = (store.read(path) for path in (given.support_features, given.pool_features))
    support = Features(prepared["features"], prepared["image_id"])
    n, parts = mixtures(settings["support"]["seeds"]), []
    for task, bank in banks_of(read_task_supports(mine.of_every_task(given.supports))).items():
        rows = source.rows(features_of(support, bank, "support.h5"), pool["features"], n)
        parts.append(pd.DataFrame({"task": task, "row": rows, "pool": source.pool(settings["section"])}))
    NEAREST_ROWS.write(snakemake.output[0], pd.concat(parts, ignore_index=True))
