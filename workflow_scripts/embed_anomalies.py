from workflow_scripts.job import job

import numpy as np

from swsa_core.anomalies.made import check_one_precision, read_origins
from swsa_core.embedding.image_stream import RowReader
from workflow_scripts._embed import embed_rows

with job(snakemake) as mine:
    paths = mine.of_every_task(snakemake.input.anomalies)
    ids, tasks, parents, precisions = [], [], [], {}
    for path in paths:
        origins, attributes = read_origins(path)
        precisions[path] = attributes.get("precision")
        n = len(origins["parents"])
        ids += [f"{attributes['task']}/{row}" for row in range(n)]
        tasks += [attributes["task"]] * n
        parents.append(origins["parents"])
    check_one_precision(precisions)
    constants = {"image_id": ids, "task": tasks, "parents": np.concatenate(parents)}
    embed_rows(snakemake, mine, RowReader(paths), constants)
