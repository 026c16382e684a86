from swsa_core.fetch_dataset import fetch_dataset
from workflow_scripts._job import job, progress

with job(snakemake):
    key = snakemake.wildcards.key
    show = progress(f"unpacking {key}", unit="MB")
    root, notes = fetch_dataset(snakemake.config, key, progress=lambda done, total: show(done // 10**6, total // 10**6))
    for line in [*notes, f"{key}: complete in {root}"]:
        print(line)
