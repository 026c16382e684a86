from swsa_core.embedding.image_stream import FileReader
from swsa_core.files import store
from workflow_scripts._embed import embed_rows, told
from workflow_scripts.job import job

with job(snakemake) as mine:
    images = store.read_table(snakemake.input.images, ["image_id", "path"], text=["image_id", "path"])
    read = FileReader(images.path, mine.settings["preparation"])
    read = told(read, lambda row, error: f"sources.{snakemake.wildcards.pool}: {error}")
    embed_rows(snakemake, mine, read, {"image_id": images.image_id.tolist()})
