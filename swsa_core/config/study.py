"""What follows from a config for a study: its tasks on disk, backbones, names, and the values that its stages track.

Image files are listed, never opened. Neither torch nor scikit-learn is imported, as the Snakefile calls `study` whenever it is
read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, cast

from swsa_core import datasets
from swsa_core.anomalies import SOURCES
from swsa_core.anomalies.source import Training
from swsa_core.basics.errors import InputError
from swsa_core.basics.names import text_slugs, unique_slugs
from swsa_core.candidates.family import CandidateSpec
from swsa_core.candidates.section import clip_backbone
from swsa_core.config.candidates import backbones, declared_licences, head_of, without_left_out
from swsa_core.config.figure_tasks import figure_tasks
from swsa_core.config.leaves import leaf_at, leaves_of
from swsa_core.datasets.fetch import is_absent, or_fetch
from swsa_core.datasets.kind import Spec
from swsa_core.detectors import DEFAULT, HEADS
from swsa_core.elsewhere.scores import HEAD as GIVEN
from swsa_core.evaluation.known import MAX_MEMBERS
from swsa_core.exposure.folds import not_judged_by
from swsa_core.files import layout
from swsa_core.files.functions import digest_of
from swsa_core.files.images import Fit, fit_of

MOST_CURVED = 12  # tasks of a data set whose selection is made anew with fewer images


class ContactTask(NamedTuple):
    """A task of Figure 2: its data set, its slug in paths, and the source whose anomalies are shown."""

    dataset: str
    slug: str
    source: str


@dataclass(frozen=True)
class Study:
    """A validated config, and what it means on this disk.

    config: of `swsa_core.config.config.validate`. present: {data set: its section}, without those that are still to be
    fetched: they have no tasks yet. tasks: {data set: {slug of the task in paths: original name}}.
    candidates: {slug in paths: candidate}, a backbone and a head, in the order of the config.
    backbones: {slug in paths: model that embeds images}, those of the candidates and the CLIP model whose prompts are chosen
    among; shared: {slug of a candidate, or of the CLIP model: slug of its backbone}.
    left_out: {name of a candidate that the study goes without: why, as a clause}.
    missing: {name: candidate}, of those of them that are optional and whose weights are not on this machine.
    declared: {name of a backbone: the licence that the config declares of its file of weights}.
    """

    config: dict[str, Any]
    present: dict[str, Spec]
    tasks: dict[str, dict[str, str]]
    candidates: dict[str, CandidateSpec]
    backbones: dict[str, CandidateSpec]
    shared: dict[str, str]
    left_out: dict[str, str]
    missing: dict[str, CandidateSpec]
    declared: dict[str, str]

    @property
    def results(self) -> str:
        return self.config["results"]

    @property
    def datasets(self) -> dict[str, Spec]:
        """{data set: its section}, in the order of the config."""
        return self.config["datasets"]

    @property
    def sources(self) -> list[str]:
        """Sources in the order of the config; the first one makes the recommendation."""
        return list(self.config["sources"])

    @property
    def generated(self) -> list[str]:
        """Sources whose anomalies are generated for each task."""
        return [source for source in self.sources if SOURCES[source].generated]

    @cached_property
    def trained(self) -> dict[str, Training]:
        """{source: what it trains before it generates}, of the sources that do."""
        found = {source: SOURCES[source].training for source in self.sources}
        return {source: training for source, training in found.items() if training}

    @property
    def graded(self) -> list[str]:
        """The sources by the strength of whose anomalies the synthetic AUROC is told."""
        wanted = self.config["evaluation"].get("severity") or self.trained
        sections = self.config["sources"]
        return [name for name, one in sections.items() if wanted and SOURCES[name].graded(one)]

    @cached_property
    def texts(self) -> dict[str, dict[str, str]]:
        """{source that trains: {slug in paths: text}}."""
        return {name: text_slugs(one.texts(self.config["sources"][name])) for name, one in self.trained.items()}

    @cached_property
    def guides(self) -> dict[str, CandidateSpec]:
        """{source that trains: the CLIP model that it follows}."""
        return {
            name: clip_backbone(one.clip(self.config["sources"][name]), f"sources.{name}.clip")
            for name, one in self.trained.items()
        }

    @property
    def reconstructed(self) -> list[str]:
        """Sources whose reconstructions of the seed images some protocol compares their anomalies with."""
        wanted = "reconstructed" in self.config["evaluation"]["protocols"]
        return [source for source in self.sources if wanted and SOURCES[source].reconstruct]

    @property
    def pools(self) -> list[str]:
        """Sources that sample a pool of other images."""
        return [source for source in self.sources if SOURCES[source].pool]

    @property
    def pool_of(self) -> dict[str, str]:
        """{source: the pool whose images it chooses from}, of the sources that choose from another one's pool."""
        chosen = {source: SOURCES[source].of_pool for source in self.sources}
        return {source: one.pool(self.config["sources"][source]) for source, one in chosen.items() if one}

    @property
    def others(self) -> list[str]:
        """Sources that take the images of the data set's other tasks."""
        return [source for source in self.sources if SOURCES[source].others]

    def others_of(self, dataset: str) -> list[str]:
        """`others`, where a data set has other tasks."""
        return self.others if len(self.tasks[dataset]) > 1 else []

    @cached_property
    def clip(self) -> dict[str, CandidateSpec]:
        """{slug: CLIP model} whose prompts are chosen among, {} where the config has no section `clip`."""
        return {slug: model for slug, model in self.backbones.items() if model.get("section") == "clip"}

    @cached_property
    def heads(self) -> dict[str, list[str]]:
        """{head: slugs of the candidates that have it}, of the heads that some have; without those that are fine-tuned."""
        found: dict[str, list[str]] = {}
        for slug, candidate in self.deployable.items():
            found.setdefault(head_of(candidate), []).append(slug)
        return {head: found[head] for head in HEADS if head in found}

    @cached_property
    def exposed(self) -> dict[str, CandidateSpec]:
        """{slug: candidate}, of those whose network is fine-tuned for each task."""
        return {slug: candidate for slug, candidate in self.candidates.items() if candidate.get("exposure")}

    @cached_property
    def given(self) -> dict[str, dict[str, Any]]:
        """{slug: {"name", "scores": path, or {"call": function}}} of the candidates that are scored elsewhere."""
        files = self.config.get("scores") or {}
        return {
            slug: {"name": one["name"], "scores": files[one["name"]]}
            for slug, one in self.candidates.items()
            if one["name"] in files
        }

    @cached_property
    def scoring(self) -> dict[str, dict[str, str]]:
        """{slug: the function that scores the candidate, and the SHA-256 of its file}, of those of `given` that have one."""
        calls = {slug: one["scores"]["call"] for slug, one in self.given.items() if isinstance(one["scores"], dict)}
        return {slug: {"call": call, "code_sha256": digest_of(call)} for slug, call in calls.items()}

    @cached_property
    def deployable(self) -> dict[str, CandidateSpec]:
        """{slug: candidate} of those that are a backbone and a head, of which a detector can be made."""
        others = {*self.exposed, *self.given}
        return {slug: candidate for slug, candidate in self.candidates.items() if slug not in others}

    @cached_property
    def before(self) -> dict[str, str]:
        """{slug of a candidate that is fine-tuned: slug of the one with the same network and head that is not}."""
        plain = {self.shared[slug]: slug for slug in self.heads.get(DEFAULT, [])}
        return {slug: plain[self.shared[slug]] for slug in self.exposed}

    @property
    def exposures(self) -> dict[str, dict[str, Any]]:
        """{slug of a candidate that is fine-tuned: its network before, how it is trained, the sources that do not judge it}."""
        return {
            slug: {
                "backbone": self.backbones[self.shared[slug]],
                "exposure": one["exposure"],
                "not_judged_by": not_judged_by(one["exposure"]["source"], self.config["sources"]),
            }
            for slug, one in self.exposed.items()
        }

    @property
    def groups(self) -> dict[str, list[str]]:
        """{candidate: [its backbone, its head]}; what is scored elsewhere has itself for a backbone."""
        return {
            one["name"]: [one["name"], GIVEN]
            if slug in self.given
            else [self.backbones[self.shared[slug]]["name"], head_of(one)]
            for slug, one in self.candidates.items()
        }

    @property
    def pairs(self) -> dict[str, list[str]]:
        """{candidate that is fine-tuned: [the one that is not, the source, what is learnt]}."""
        return {
            one["name"]: [
                self.candidates[self.before[slug]]["name"],
                one["exposure"]["source"],
                one["exposure"]["task"],
            ]
            for slug, one in self.exposed.items()
        }

    @property
    def tasks_per_job(self) -> int:
        """Tasks of one job that draws support sets or makes anomalies."""
        return _per_job(self.config, auto=1)

    @property
    def exposed_per_job(self) -> int:
        """Tasks of one job that fine-tunes a network."""
        return _per_job(self.config, auto=10)

    @cached_property
    def batches(self) -> dict[str, dict[str, list[str]]]:
        """{data set: {number: slugs of the tasks}} of the jobs that draw support sets or make anomalies."""
        return {name: chunks_of(list(tasks), self.tasks_per_job) for name, tasks in self.tasks.items()}

    @cached_property
    def chunks(self) -> dict[str, dict[str, list[str]]]:
        """{data set: {number: slugs of the tasks}} that one job fine-tunes a network for."""
        return {name: chunks_of(list(tasks), self.exposed_per_job) for name, tasks in self.tasks.items()}

    @cached_property
    def heads_of(self) -> dict[str, list[str]]:
        """{slug of a backbone: the heads that candidates have on it}, without the CLIP model, which has none."""
        found: dict[str, list[str]] = {}
        for head, slugs in self.heads.items():
            for slug in slugs:
                found.setdefault(self.shared[slug], []).append(head)
        return {slug: found[slug] for slug in self.backbones if slug in found}

    @cached_property
    def grids(self) -> dict[str, str]:
        """{slug of a backbone whose patches are compared: the grid of its patches, as paths name it}."""
        patched = [slug for head, slugs in self.heads.items() if HEADS[head].patches for slug in slugs]
        return {self.shared[slug]: layout.grid_name(self.config["patch"]["grid"]) for slug in patched}

    def has_curve(self, n_tasks: int) -> bool:
        """Whether the selection of a data set of so many tasks is made anew with fewer images.

        Never with fine-tuned networks, nor with candidates that are scored elsewhere: both would have to be made anew.
        """
        return n_tasks <= MOST_CURVED and not self.exposed and not self.given

    @property
    def compared(self) -> list[tuple[str, bool]]:
        """What heads compare: (slug of a backbone, whether its patches), in the order of the candidates."""
        plain = {slug: one for slug, one in self.candidates.items() if slug not in self.exposed}
        return list(dict.fromkeys((self.shared[slug], HEADS[head_of(one)].patches) for slug, one in plain.items()))

    @cached_property
    def class_names(self) -> dict[str, dict[str, str]]:
        """{data set: {task: its name in prompts}}."""
        return {
            name: {task: datasets.name_in_prompts(self.datasets[name], task) for task in tasks.values()}
            for name, tasks in self.tasks.items()
        }

    @property
    def max_members(self) -> int:
        """Members of the ensemble at most."""
        return (self.config.get("selection") or {}).get("max_members", MAX_MEMBERS)

    @cached_property
    def limits(self) -> dict[str, Any]:
        """What is asked of the costs of what is recommended, by the keys of the section `selection`; None for nothing."""
        given = self.config.get("selection") or {}
        return {key: given.get(key) for key in ("max_ms", "max_mb", "close_call")}

    @property
    def limited(self) -> bool:
        """Whether the selection depends on what candidates cost."""
        return any(self.limits.values())

    @property
    def in_paper(self) -> bool:
        """Whether some data set is one of the paper's, so that its tables and figures are made by default."""
        return any(datasets.kind_of(spec).in_paper for spec in self.datasets.values())

    @property
    def space(self) -> str:
        """Slug of the candidate whose scores Figure 4 shows, in the features of its backbone, as total variation."""
        return next(slug for slug, one in self.candidates.items() if one["name"] == self.config["figures"]["space"])

    @cached_property
    def tsne_tasks(self) -> dict[str, str]:
        """{data set: slug of its task in Figure 4 and Table 3}."""
        named = figure_tasks("tsne", self.config["figures"]["tsne"], self.tasks)
        first = figure_tasks("tsne", {}, self.tasks)
        return {dataset: slugs[0] for dataset, slugs in (first | named).items()}

    @cached_property
    def contact_tasks(self) -> list[ContactTask]:
        """The tasks of Figure 2, which shows what is made of pairs of images."""
        source = next((source for source in self.sources if SOURCES[source].pairs), None)
        chosen = figure_tasks("contact_sheets", self.config["figures"]["contact_sheets"], self.tasks)
        return [ContactTask(dataset, slug, source) for dataset, slugs in chosen.items() for slug in slugs if source]

    @cached_property
    def paper_tables(self) -> dict[str, list[str]]:
        """{table of the paper that this config has results for: the data sets that it is about}."""
        every = list(self.datasets)
        closest = every if "one_vs_closest" in self.config["evaluation"]["settings"] else []
        products = (
            [name for name, spec in self.datasets.items() if datasets.kind_of(spec).textures] if self.clip else []
        )
        tables = {"table1": every, "table2": every, "table3": closest, "table3_all_tasks": closest}
        return {name: about for name, about in (tables | {"mvtec_prompts": products}).items() if about}

    @cached_property
    def leaves(self) -> dict[str, Any]:
        """What stages can track, by key: see `swsa_core.config.leaves`."""
        return leaves_of(self)

    def leaf(self, path: str, wildcards: dict[str, str], stage: str = "") -> Any:
        """The value of `leaves` at a dotted path whose steps may hold wildcards, for a rule of `stage`."""
        return leaf_at(self.leaves, path, wildcards, stage)

    def index_inputs(self, dataset: str) -> list[str]:
        """Paths whose change means that the index of a data set changed. Raises InputError that says how to fetch it."""
        return of_dataset(dataset, or_fetch, datasets.inputs, self.datasets[dataset])

    def support_inputs(self, dataset: str, task: str) -> list[str]:
        """Paths whose change means that the support of a task, given by its slug, changed."""
        if dataset not in self.present:
            self.index_inputs(dataset)  # raises the sentence about it
        return of_dataset(dataset, datasets.inputs, self.datasets[dataset], self.tasks[dataset][task])

    def pool_inputs(self, pool: str) -> list[str]:
        """Paths whose change means that a pool changed."""
        images = SOURCES[pool].pool
        assert images is not None  # as it is one of `pools`
        return or_fetch(images.inputs, self.config["sources"][pool] | {"kind": pool})


def chunks_of(tasks: list[Any], size: int) -> dict[str, list[Any]]:
    """{number: tasks} of jobs of at most `size` tasks.

    >>> chunks_of(["a", "b", "c"], 2)
    {'0': ['a', 'b'], '1': ['c']}
    """
    return {str(start // size): tasks[start : start + size] for start in range(0, len(tasks), size)}


def study(config: dict[str, Any]) -> Study:
    """The `Study` of a validated config. Raises InputError for a data set that is there and cannot be read."""
    declared = declared_licences(config["candidates"])
    config, left_out, missing = without_left_out(config)
    present = {name: spec for name, spec in config["datasets"].items() if not is_absent(spec)}
    tasks: dict[str, dict[str, str]] = {name: {} for name in config["datasets"]} | {
        name: unique_slugs(of_dataset(name, datasets.tasks, spec)) for name, spec in present.items()
    }
    clip = [clip_backbone(config["clip"])] if config["clip"] else []
    by_name = backbones(config["candidates"]) | {model["name"]: model for model in clip}
    by_name = {name: _fitted(model, fit_of(config["preparation"])) for name, model in by_name.items()}
    elsewhere = [cast(CandidateSpec, {"name": name, "model": ""}) for name in config.get("scores") or ()]
    slugs = {name: slug for slug, name in unique_slugs([*by_name, *(one["name"] for one in elsewhere)]).items()}
    return Study(
        config,
        present,
        tasks,
        candidates={slugs[one["name"]]: one for one in [*config["candidates"], *elsewhere]},
        backbones={slugs[model["name"]]: model for model in by_name.values()},
        shared={slugs[name]: slugs[model["name"]] for name, model in by_name.items()},
        left_out=left_out,
        missing=missing,
        declared=declared,
    )


def _per_job(config, auto):
    per_job = config["runtime"]["tasks_per_job"]
    return auto if per_job == "auto" else per_job


def _fitted(model: CandidateSpec, fit: Fit) -> CandidateSpec:
    """A candidate with its own `fit`, else the preparation's; without the key where the library's own transform stays."""
    own = model.get("fit") or (None if fit == "crop" else fit)
    return cast(CandidateSpec, {key: value for key, value in {**model, "fit": own}.items() if key != "fit" or value})


def of_dataset(name: str, function: Callable, *args: Any) -> Any:
    """`function(*args)`, with the data set's config key before the sentence of an InputError."""
    try:
        return function(*args)
    except InputError as error:
        raise InputError(f"datasets.{name}: {error}") from None
