from workflow_scripts.job import job

from pathlib import Path

from swsa_core.basics.errors import InputError
from swsa_core.candidates.clip import load_clip
from swsa_core.candidates.licences import licence_of
from swsa_core.candidates.prompts import ENSEMBLE, prompt_names
from swsa_core.detect.detector import Detector, Member
from swsa_core.detect.evidence import on_sources
from swsa_core.detect.folder import save
from swsa_core.detect.heads import PROMPT, text_bank
from swsa_core.detect.make import digest_of, make_part, tested
from swsa_core.detectors import score_clip
from swsa_core.detectors.scores import Features, banks_of, features_of
from swsa_core.files import layout, store
from swsa_core.files.support import read_task_supports
from swsa_core.strategies.select import SELECTION

FACTS = ("backbone", "model", "weights_sha256", "transform", "precision", "versions")

with job(snakemake) as mine:
    settings, dataset = mine.settings, snakemake.wildcards.dataset
    rows = SELECTION.read(snakemake.input.selection).query("selection == 'prompt' and candidate != ''")
    strategy = next((one for one in settings["strategies"] if one in set(rows["strategy"])), None)
    if strategy is None:
        raise InputError(
            f"strategies: none of them picks a prompt for data set {dataset!r} to make a detector of: add swsa or "
            "prompt_ensemble"
        )
    first = rows[rows["strategy"] == strategy].drop_duplicates("task").set_index("task")
    scores = score_clip.read(snakemake.input.scores)
    arrays, attributes = store.read(snakemake.input.features)
    images = Features(arrays["features"], arrays["image_id"])
    spec = settings["backbones"][layout.fields_of("scores", snakemake.input.scores)["candidate"]]
    model, templates = load_clip(spec), settings["templates"]
    of_prompts = {name: [pair] for name, pair in zip(prompt_names(templates), templates, strict=True)}
    of_prompts[ENSEMBLE] = templates
    facts = {key: attributes[key] for key in FACTS} | {"licence": licence_of(spec)}
    supports = read_task_supports(mine.of_every_task(snakemake.input.supports))
    paths = {support["task"]: support["paths"] for support in supports}
    members, parts = {}, {}
    for task, ids in banks_of(supports).items():
        row = first.loc[task]
        pairs = of_prompts[row.candidate]
        of_head = {"logit_scale": model.logit_scale, "templates": pairs}
        members[row.candidate] = Member(row.candidate, spec, PROMPT, of_head, 0, facts)
        texts = {row.candidate: text_bank(model, pairs, settings["class_names"][task])}
        of_bank = [paths[task][one] for one in ids]
        parts[task] = make_part(
            task,
            [members[row.candidate]],
            {row.candidate: features_of(images, ids, "images.h5")},
            of_bank,
            [digest_of(path) for path in of_bank],
            dataset,
            facts={
                "verdict": row.verdict,
                "reason": row.reason,
                "sources": on_sources([scores[row.candidate]], task, None),
            },
            texts=texts,
        )
        print(f"{task}: {row.candidate}, {len(ids)} normal images")
    about = {"dataset": dataset, "strategy": strategy, "versions": facts["versions"]}
    detector = Detector(members, parts, about, device="cpu")  # for one image
    save(tested(detector, detector.networks()), Path(snakemake.output[0]).parent)
