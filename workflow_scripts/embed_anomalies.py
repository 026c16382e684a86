import numpy as np

from swsa_core.anomalies.files import read_origins
from swsa_core.image_stream import RowReader
from workflow_scripts._embed import embed_rows
from workflow_scripts._job import job

with job(snakemake):
    ids, tasks, parents = [], [], []
    for origins, attributes in map(read_origins, snakemake.input.anomalies):
        n = len(origins["parents"])
        ids += [f"{attributes['task']}/{row}" for row in range(n)]
        tasks += [attributes["task"]] * n
        parents.append(origins["parents"])
    constants = {"image_id": ids, "task": tasks, "parents": np.concatenate(parents)}
    embed_rows(snakemake, RowReader(snakemake.input.anomalies), constants)
