from swsa_core.anomalies import procedural, tiny_imagenet
from swsa_core.files import store
from workflow_scripts._job import job

with job(snakemake):
    pool, settings = snakemake.wildcards.pool, snakemake.params.settings
    images = {"procedural": procedural, "tiny_imagenet": tiny_imagenet}[pool].pool(
        settings["sources.{pool}"], settings["seed"]
    )
    store.write_table(snakemake.output[0], images, ["image_id", "path"])
    print(f"{pool}: {len(images)} images")
