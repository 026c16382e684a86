from swsa_core.embedding.image_stream import FileReader
from swsa_core.files import store
from workflow_scripts._embed import embed_rows
from workflow_scripts._job import job

with job(snakemake):
    paths = {}
    for support in map(store.read_json, snakemake.input.supports):
        paths |= support["paths"]
    read = FileReader(paths.values(), snakemake.params.settings["preparation"])
    embed_rows(snakemake, read, {"image_id": list(paths)})
