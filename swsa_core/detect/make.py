"""Making a detector of normal images: banks, leave-one-out scores, and what the members' networks give."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np

from swsa_core.basics.errors import InputError
from swsa_core.candidates.backbone import Backbone, load_backbone
from swsa_core.candidates.clip import load_clip
from swsa_core.candidates.family import CandidateSpec
from swsa_core.candidates.licences import licence_of
from swsa_core.detect.detector import Detector, Member, Part, combined, is_path
from swsa_core.detect.heads import COMPARING, PROMPT, text_bank
from swsa_core.detect.self_test import own_scores
from swsa_core.detectors.scores import Answer
from swsa_core.detectors.together import scale_of


def leave_one_out(one: Member, images: np.ndarray, bank: np.ndarray) -> Answer:
    """What a member says of the normal images (n, …), each without what the bank, (n, …) or of texts, keeps of it.

    Raises InputError where the bank is too small.
    """
    try:
        return COMPARING[one.head].against(images, bank, np.arange(len(images)), **one.settings)
    except ValueError as error:
        raise InputError(f"{one.name}: {len(images)} normal images are too few ({error}): add normal images") from error


def make_part(
    name: str,
    members: Sequence[Member],
    found: Mapping[str, np.ndarray],
    paths: Sequence[str],
    digests: Sequence[str],
    dataset: str,
    scale: np.ndarray | None = None,
    facts: Mapping[str, Any] | None = None,
    texts: Mapping[str, np.ndarray] | None = None,
) -> Part:
    """A task from what the members' networks give of its normal images.

    found: {member: features (n, d), or patches (n, p, d)}. paths, digests, scale: of `Part`; where the scale is left out
    and there are several members, it is that of the normal images. texts: {member: its texts (2, d)}, of those that are
    prompts.
    """
    banks = dict(texts or {})
    for one in members:
        if one.name not in banks:
            keep = COMPARING[one.head].keep
            banks[one.name] = keep(np.asarray(found[one.name]), dataset, name, **one.settings)
    answers = [leave_one_out(one, np.asarray(found[one.name]), banks[one.name]) for one in members]
    scores = np.stack([answer.scores for answer in answers], axis=1)
    if scale is None and len(members) > 1:
        scale = scale_of(scores)
    maps = {one.name: answer.maps for one, answer in zip(members, answers, strict=True) if answer.maps is not None}
    names = [one.name for one in members]
    return Part(
        name,
        names,
        banks,
        scale,
        list(paths),
        list(digests),
        combined(scores, scale),
        maps,
        facts=dict(facts or {}),
    )


def fit(
    images: Sequence[Any],
    candidates: Sequence[tuple[CandidateSpec, str, dict[str, Any]]],
    grid: int = 14,
    task: str = "normal",
    dataset: str = "normal",
    class_name: str = "object",
) -> Detector:
    """A detector of normal images, without a study: of one candidate, or of several together.

    images: paths or (H, W, 3) uint8 arrays; candidates: (network as the config has it, head, settings of `Head.against`);
    grid: side of the grid of patches, for heads that compare them; task, dataset: names, on which the draw of the patches
    that a bank keeps depends, too; class_name: what the images show, for candidates with the head `heads.PROMPT`, a CLIP
    model whose settings are {"templates": pairs [normal, anomalous]}. Raises InputError for an image that cannot be read.
    """
    members, texts = {}, {}
    for spec, head, settings in candidates:
        name, patches = f"{spec['name']} {head}", grid if COMPARING[head].patches else 0
        attributes = load_backbone(spec, grid=patches or None).attributes()
        if head == PROMPT:
            clip = load_clip(spec)
            texts[name] = text_bank(clip, settings["templates"], class_name)
            settings = settings | {"logit_scale": clip.logit_scale}
        members[name] = Member(name, spec, head, settings, patches, attributes | {"licence": licence_of(spec)})
    versions = "; ".join(dict.fromkeys(one.facts["versions"] for one in members.values()))
    detector = Detector(members, {}, {"dataset": dataset, "strategy": "fit", "versions": versions})
    networks = detector.networks()
    found = features_of_members(detector, images, list(members), networks=networks)
    paths = [str(image) if is_path(image) else f"image {row}" for row, image in enumerate(images)]
    digests = [digest_of(image) for image in images]
    part = make_part(task, list(members.values()), found, paths, digests, dataset, texts=texts)
    return tested(replace(detector, parts={task: part}), networks)


def tested(detector: Detector, networks: Mapping[str, Backbone]) -> Detector:
    """A detector with the scores that it gives its test image; networks: of `Detector.networks`."""
    return replace(detector, about=detector.about | {"tested": own_scores(detector, networks)})


def features_of_members(
    detector: Detector,
    images: Sequence[Any],
    members: Sequence[str],
    threads: int = 1,
    log: Callable[[str], None] = print,
    networks: Mapping[str, Backbone] | None = None,
) -> dict[str, np.ndarray]:
    """{member: features (n, d), or patches (n, p, d)} of images, as of `fit`; networks: of `Detector.see`.

    Raises InputError for an image that cannot be read.
    """
    seen = list(detector.see(images, members, threads, log, networks))
    if reason := next((reason for one in seen for reason in one.reasons if reason), None):
        raise InputError(reason)
    wanted = {name: (detector.members[name].backbone["name"], bool(detector.members[name].grid)) for name in members}
    return {name: np.concatenate([batch.found[one] for batch in seen]) for name, one in wanted.items()}


def digest_of(image: Any) -> str:
    """SHA-256 of the pixels of an image, as of `fit`: whatever its file is called, it is the same image."""
    from swsa_core.files.images import read_image

    pixels = np.ascontiguousarray(read_image(image) if is_path(image) else image)
    return sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()
