from workflow_scripts.job import job

from swsa_core.embedding.image_stream import FileReader
from swsa_core.files.support import read_task_supports
from workflow_scripts._embed import embed_rows

with job(snakemake) as mine:
    paths = {}
    for support in read_task_supports(mine.of_every_task(snakemake.input.supports)):
        paths |= support["paths"]
    read = FileReader(paths.values(), mine.settings["preparation"])
    embed_rows(snakemake, mine, read, {"image_id": list(paths)})
