from workflow_scripts.job import job, progress

from pathlib import Path

from swsa_core.files.downloads import PUBLISHED, download

with job(snakemake):
    published = PUBLISHED[snakemake.wildcards.model]
    path = download(
        published.url,
        Path(snakemake.output[0]),
        published.size,
        published.sha256,
        progress=progress(f"fetching {snakemake.wildcards.model}", unit="bytes"),
    )
    print(f"{path}: {published.size:,} bytes, as published")
