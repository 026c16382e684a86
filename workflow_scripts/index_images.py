from workflow_scripts.job import dataset_spec, job

from swsa_core import datasets

with job(snakemake) as mine:
    dataset, settings = snakemake.wildcards.dataset, mine.settings
    spec = dataset_spec(settings, tasks=list(settings["tasks"].values()))
    images = datasets.index(spec, settings["train_seed"], dataset)
    datasets.INDEX.write(snakemake.output[0], images)
    print(f"{dataset}: {(images.split == 'train').sum()} training and {(images.split == 'test').sum()} test images")
    for sentence in datasets.remarks(spec, images.image_id):
        print(f"{dataset}: {sentence}")
