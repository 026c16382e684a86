from pathlib import Path

from swsa_core.mini.train import train
from workflow_scripts._job import job

with job(snakemake):
    train(snakemake.wildcards.model, Path(snakemake.output.weights).parent, threads=snakemake.threads)
