from swsa_core.datasets.fetch import fetch_dataset, license_line, published
from workflow_scripts._job import job, progress

with job(snakemake):
    key = snakemake.wildcards.key
    if terms := license_line(published(snakemake.config)[key]):
        print(terms)
    show = progress(f"unpacking {key}", unit="MB")
    root = fetch_dataset(snakemake.config, key, progress=lambda done, total: show(done // 10**6, total // 10**6))
    print(f"{key}: complete in {root}")
