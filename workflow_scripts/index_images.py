from swsa_core import datasets
from swsa_core.files import store
from workflow_scripts._job import dataset_spec, job

with job(snakemake):
    dataset, settings = snakemake.wildcards.dataset, snakemake.params.settings
    spec = dataset_spec(settings, tasks=list(settings["tasks.{dataset}"].values()))
    images = datasets.index(spec, settings["train_seed.{dataset}"], dataset)
    store.write_table(snakemake.output[0], images, datasets.COLUMNS)
    print(f"{dataset}: {(images.split == 'train').sum()} training and {(images.split == 'test').sum()} test images")
