from swsa_core.embedding.image_stream import FileReader
from swsa_core.files.text import read_json
from workflow_scripts._embed import embed_rows
from workflow_scripts.job import job

with job(snakemake) as mine:
    paths = {}
    for support in map(read_json, mine.of_every_task(snakemake.input.supports)):
        paths |= support["paths"]
    read = FileReader(paths.values(), mine.settings["preparation"])
    embed_rows(snakemake, mine, read, {"image_id": list(paths)})
