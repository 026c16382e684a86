from workflow_scripts.job import job

from pathlib import Path

from swsa_core.mini import CLIP_MODELS, DIFFUSION_MODELS, classifiers, clip, unet

with job(snakemake):
    model = snakemake.wildcards.model
    recipe = clip if model in CLIP_MODELS else unet if model in DIFFUSION_MODELS else classifiers
    recipe.train(model, Path(snakemake.output.weights).parent, threads=snakemake.threads)
