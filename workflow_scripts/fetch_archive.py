from workflow_scripts.job import job, progress

from pathlib import Path

from swsa_core.datasets.fetch import fetch_archive

with job(snakemake):
    name = snakemake.wildcards.archive
    show = progress(f"fetching {name}", unit="MB")
    path = fetch_archive(
        name, Path(snakemake.output[0]), progress=lambda done, total: show(done // 10**6, total // 10**6)
    )
    print(f"{path}: {path.stat().st_size:,} bytes, as published")
