from swsa_core.datasets import INDEX
from swsa_core.embedding.image_stream import FileReader
from workflow_scripts._embed import embed_rows, told
from workflow_scripts.job import job

with job(snakemake) as mine:
    dataset, images = snakemake.wildcards.dataset, INDEX.read(snakemake.input.images)
    on_bad_image = mine.settings["dataset.on_bad_image"]
    read = FileReader(images.path)
    if on_bad_image == "error":
        remedy = f"to go on without it set datasets.{dataset}.on_bad_image: skip"
        read = told(read, lambda row, error: f"class {images['class'][row]!r}: {error}; {remedy}")
    embed_rows(snakemake, mine, read, {"image_id": images.image_id.tolist()}, on_bad_image)
