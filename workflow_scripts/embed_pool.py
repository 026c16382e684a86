from workflow_scripts.job import job

from swsa_core.anomalies.pool import POOL_IMAGES
from swsa_core.embedding.image_stream import FileReader
from workflow_scripts._embed import embed_rows, told

with job(snakemake) as mine:
    images = POOL_IMAGES.read(snakemake.input.images)
    read = FileReader(images.path, mine.settings["preparation"])
    read = told(read, lambda row, error: f"sources.{snakemake.wildcards.pool}: {error}")
    embed_rows(snakemake, mine, read, {"image_id": images.image_id.tolist()})
