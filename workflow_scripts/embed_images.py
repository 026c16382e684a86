from workflow_scripts.job import job

from swsa_core.basics.errors import NeedsKey
from swsa_core.datasets import INDEX
from swsa_core.datasets.depth import check_splits
from swsa_core.embedding.image_stream import FileReader
from workflow_scripts._embed import embed_rows, told

with job(snakemake) as mine:
    dataset, images = snakemake.wildcards.dataset, INDEX.read(snakemake.input.images)
    check_splits({str(split): paths.tolist() for split, paths in images.groupby("split", sort=False)["path"]}, dataset)
    on_bad_image = mine.settings["dataset.on_bad_image"]
    read = FileReader(images.path)
    if on_bad_image == "error":
        remedy = f"; to go on without it set datasets.{dataset}.on_bad_image: skip"

        def tell(row, error):
            return f"class {images['class'][row]!r}: {error}{'' if isinstance(error, NeedsKey) else remedy}"

        read = told(read, tell)
    embed_rows(snakemake, mine, read, {"image_id": images.image_id.tolist()}, on_bad_image)
