from workflow_scripts.job import job

import torch

from swsa_core.basics.errors import InputError
from swsa_core.candidates import clip
from swsa_core.candidates.prompts import prompts
from swsa_core.detectors import score_clip
from swsa_core.detectors.scores import apart
from workflow_scripts._score import describe, read_embeddings

with job(snakemake) as mine:
    settings, given = mine.settings, snakemake.input
    templates, class_names = settings["templates"], settings["class_names"]
    torch.set_num_threads(snakemake.threads)
    embeddings, backbone = read_embeddings(given, mine.of_every_task(given.supports))
    model = clip.load_clip(settings["backbone"])
    if model.weights_sha256 != backbone["weights_sha256"]:
        raise InputError(
            f"{given.image_features} was embedded with other weights than {backbone['model']} has now: delete it and run again"
        )
    texts = [
        text
        for support in embeddings["supports"]
        for pair in prompts(templates, class_names[support["task"]])
        for text in pair
    ]
    text_features = clip.embed_texts(model, texts)
    print(f"{len(set(texts))} different texts of {len(templates)} prompts and {len(embeddings['supports'])} tasks")
    scores = score_clip.score_dataset(
        **embeddings,
        templates=templates,
        text_features=text_features.reshape(-1, len(templates), 2, text_features.shape[1]),
        logit_scale=model.logit_scale,
    )
    scores = {prompt: apart(one) for prompt, one in scores.items()}
    score_clip.write(snakemake.output[0], scores, describe(backbone) | {"logit_scale": model.logit_scale})
