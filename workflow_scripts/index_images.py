from swsa_core import datasets, store
from workflow_scripts._job import job

with job(snakemake):
    dataset, settings = snakemake.wildcards.dataset, snakemake.params.settings
    spec = snakemake.config["datasets"][dataset] | {"tasks": list(settings["tasks.{dataset}"].values())}
    images = datasets.index(spec, snakemake.config["seed"], dataset)
    store.write_table(snakemake.output[0], images, datasets.COLUMNS)
    print(f"{dataset}: {(images.split == 'train').sum()} training and {(images.split == 'test').sum()} test images")
