from workflow_scripts.job import job, progress

from swsa_core.datasets.fetch import fetch_dataset, license_line, published

with job(snakemake):
    key = snakemake.wildcards.key
    if terms := license_line(published(snakemake.params.config)[key]):
        print(terms)
    show = progress(f"unpacking {key}", unit="MB")
    root = fetch_dataset(snakemake.params.config, key, progress=lambda done, total: show(done // 10**6, total // 10**6))
    print(f"{key}: complete in {root}")
