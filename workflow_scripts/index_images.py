from swsa_core import datasets
from swsa_core.files import store
from workflow_scripts.job import dataset_spec, job

with job(snakemake) as mine:
    dataset, settings = snakemake.wildcards.dataset, mine.settings
    spec = dataset_spec(settings, tasks=list(settings["tasks"].values()))
    images = datasets.index(spec, settings["train_seed"], dataset)
    store.write_table(snakemake.output[0], images, datasets.COLUMNS)
    print(f"{dataset}: {(images.split == 'train').sum()} training and {(images.split == 'test').sum()} test images")
    for sentence in datasets.remarks(spec, images.image_id):
        print(f"{dataset}: {sentence}")
