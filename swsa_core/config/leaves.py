"""What the stages of a study track: the values that its rules record, and the versions of their code."""

from typing import TYPE_CHECKING, Any

from swsa_core import datasets
from swsa_core.anomalies import SOURCES
from swsa_core.anomalies.source import reconstructing
from swsa_core.basics.names import did_you_mean
from swsa_core.basics.versions import STAGE_VERSIONS
from swsa_core.candidates import family_of
from swsa_core.candidates.family import code_of
from swsa_core.config.candidates import backbones
from swsa_core.datasets.section import LATER
from swsa_core.detectors import HEADS
from swsa_core.evaluation.known import MAX_MEMBERS
from swsa_core.strategies import judging_by_scores

if TYPE_CHECKING:
    from swsa_core.config.study import Study

FETCHING = ("archive", "accept_license")  # keys of `snakemake datasets` alone, which change no result


def leaves_of(study: "Study") -> dict[str, Any]:
    """What stages can track, by key: the config without what changes no result, and what follows from it.

    Data sets have None for the keys of other kinds, and for those of `LATER` that are at their defaults; candidates and the
    CLIP model stand by their slugs. Beyond the config there are orders, which input files do not keep, the tasks on disk,
    their names in prompts, the backbone and head of each candidate,
    the strategies that judge by unlabelled scores, the tasks of the paper's figures, and the seed of the data sets whose
    training images are drawn.
    """
    tracked = {key: value for key, value in study.config.items() if key != "runtime"} | {
        section: {
            name: {key: value for key, value in entry.items() if not _is_untracked(key, value)}
            for name, entry in study.config[section].items()
        }
        for section in ("datasets", "sources")
    }
    tracked["candidates"] = [_without(one, fit=None) for one in study.config["candidates"]]
    if study.config["preparation"] != "original":
        tracked["preparation"] = _without(study.config["preparation"], fit="crop")
    sections = [kind.section for kind in datasets.KINDS.values()]
    keys = {key: None for section in sections for key in section.model_fields if key not in FETCHING}
    return tracked | {
        "config": tracked,
        "datasets": {name: keys | spec for name, spec in tracked["datasets"].items()},
        "dataset_order": list(study.datasets),
        "sources": {name: entry | _code_of(name, entry) for name, entry in tracked["sources"].items()},
        "source_order": study.sources,
        "candidates": {slug: one | code_of(one, family_of(one)) for slug, one in study.backbones.items()},
        "heads_of": study.heads_of,
        "grid_of": {slug: study.grids.get(slug) for slug in study.backbones},
        "groups": study.groups,
        "scoring": study.scoring,
        "left_out": study.left_out,
        "missing": list({one["name"]: one for one in backbones(list(study.missing.values())).values()}.values()),
        "declared": study.declared or None,
        "exposures": study.exposures,
        "before_after": study.pairs,
        "candidate_order": [model["name"] for model in study.candidates.values()],
        "tasks": study.tasks,
        "batches": {
            name: {number: {slug: study.tasks[name][slug] for slug in slugs} for number, slugs in batches.items()}
            for name, batches in study.batches.items()
        },
        "texts": study.texts,
        "guides": study.guides,
        "evaluation": _without(study.config["evaluation"], severity=study.config["evaluation"].get("severity")),
        "class_names": study.class_names,
        "max_members": None if study.max_members == MAX_MEMBERS else study.max_members,
        **study.limits,
        "qualities": judging_by_scores(study.config["strategies"]),
        "train_seed": {
            name: study.config["seed"] if spec.get("train") else None for name, spec in study.datasets.items()
        },
        "contact_tasks": [[one.dataset, one.slug] for one in study.contact_tasks],
        "paper_tables": list(study.paper_tables),
        "kinds": {name: spec["kind"] for name, spec in study.datasets.items()},
        "tsne_tasks": {name: study.tasks[name][slug] for name, slug in study.tsne_tasks.items()},
    }


def leaf_at(leaves: dict[str, Any], path: str, wildcards: dict[str, str], stage: str) -> Any:
    """The value of `leaves` at a dotted path whose steps may hold wildcards, for a rule of `stage`."""
    value: Any = leaves
    for step in path.split("."):
        key = step.format(**wildcards)
        known = value if isinstance(value, dict) else ()
        if key not in known:
            advice = did_you_mean(key, known)
            raise KeyError(f"settings of {stage}: {path} is no leaf of the config; {key!r}: {advice}")
        value = value[key]
    return value


def stage_version(stage: str) -> int:
    """Integer version of a stage, part of what its rule tracks; a generated source is a stage, and so is each head.

    The reconstructions of a source have its version.
    """
    generated = {name: source.version for name, source in SOURCES.items() if source.generated}
    generated |= {reconstructing(name): source.version for name, source in SOURCES.items() if source.reconstruct}
    return (STAGE_VERSIONS | generated | {f"score_{name}": head.version for name, head in HEADS.items()})[stage]


def _is_untracked(key: str, value: Any) -> bool:
    """Whether a key of a data set or source changes no result, or did not exist when studies were made that had its default."""
    return key in FETCHING or (key in LATER and value == LATER[key])


def _code_of(source: str, section: dict[str, Any]) -> dict[str, str]:
    """{"code_sha256": digest} of a source that runs code of the user's own, {} of others."""
    code = SOURCES[source].code
    return {"code_sha256": code(section)} if code else {}


def _without(entry: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    """`entry` without those of the keys that are at their default: keys that came when studies had been made already."""
    return {key: value for key, value in entry.items() if key not in defaults or value != defaults[key]}
