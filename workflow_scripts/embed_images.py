from swsa_core import store
from swsa_core.image_stream import FileReader
from workflow_scripts._embed import embed_rows
from workflow_scripts._job import job

with job(snakemake):
    images = store.read_table(snakemake.input.images, ["image_id", "path"], text=["image_id", "path"])
    on_bad_image = snakemake.params.settings["datasets.{dataset}.on_bad_image"]
    embed_rows(snakemake, FileReader(images.path), {"image_id": images.image_id.tolist()}, on_bad_image)
