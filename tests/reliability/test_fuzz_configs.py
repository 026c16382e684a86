"""Whatever a config holds, it ends in a study or in lines that name the keys; benchmarks/fuzz.py tries thousands more."""

import copy
import os
import pickle
from random import Random

import fuzz
import mutations
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workflow import ROOT, snakemake

from swsa_core.basics.errors import InputError
from swsa_core.config.config import Config, validate

OTHER_KEYS = ("true: ", "null: ", "1: ", "-2.5: ", "nan: ", "(1, 2): ", "b'k': ", "bits)")  # those that are no texts


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory):
    """Small data sets where the configs look for them."""
    directory, before = tmp_path_factory.mktemp("data"), os.getcwd()
    fuzz.make_data(directory)
    os.chdir(directory)
    yield
    os.chdir(before)


@pytest.mark.parametrize("number", range(len(fuzz.valid_configs())))
def test_the_configs_that_are_changed_are_valid(number):
    assert fuzz.config_outcome(fuzz.valid_configs()[number]) == "accepted"


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(st.sampled_from(range(len(fuzz.valid_configs()))), st.randoms(use_true_random=False))
def test_a_config_is_a_study_or_a_sentence_for_each_mistake(number, random):
    config = mutations.mutated_config(fuzz.valid_configs()[number], random)
    assert fuzz.config_outcome(config) in fuzz.OUTCOMES[:2]


def test_each_line_names_its_key_and_nothing_is_changed():
    for number in range(60):
        config = mutations.mutated_config(fuzz.valid_configs()[number % 6], Random(number))
        before = pickle.dumps(config)  # which tells aliases and loops, too
        named = [*Config.model_fields, *OTHER_KEYS, *(key[:100] for key in config if isinstance(key, str))]
        try:
            validate(config)
        except InputError as error:
            for line in str(error).split("\n"):
                assert any(key in line or repr(key)[1:-1] in line for key in named), line
        assert pickle.dumps(config) == before


def loop():
    value = []
    value.append(value)
    return value


ENDLESS = {
    "a loop": loop(),
    "billion laughs": mutations.laughs(),
    "a value 10,000 deep": mutations.nested(10_000),
}


@pytest.mark.parametrize("what", ENDLESS)
@pytest.mark.parametrize("key", ["datasets", "sources", "candidates", "clip", "results", "strategies", "nonsense"])
def test_aliases_that_make_a_config_endless_are_told_at_once(what, key):
    with pytest.raises(InputError, match="write it without aliases"):
        validate(copy.copy(fuzz.valid_configs()[0]) | {key: ENDLESS[what]})


SLIPS = {
    "seed": 2**63,
    "support.seeds": 10**9,
    "preparation.size": 10**9,
    "evaluation.bootstrap": 10**12,
    "figures.rows": 10**6,
    "runtime.threads": 10**6,
    "runtime.workers": 10**6,
    "runtime.tasks_per_job": 10**12,
    "sources.cutpaste.n": 10**9,
    "sources.procedural.pool": 10**12,
    "candidates.4.crop": 10**9,
    "knn.k": 10**400,
}


@pytest.mark.parametrize("key", SLIPS)
def test_a_slip_of_digits_is_told_before_it_fills_a_machine(key):
    config = copy.deepcopy(fuzz.valid_configs()[0])
    *steps, last = key.split(".")
    section = config
    for step in steps:
        section = section[int(step)] if isinstance(section, list) else section.setdefault(step, {})
    section[last] = SLIPS[key]
    with pytest.raises(InputError, match=rf"(?m)^{key}: received .* expected"):
        validate(config)


TAGS = [
    "!!python/object/apply:os.mkdir [made]",
    "!!python/object/new:os.mkdir [made]",
    "!!python/name:os.mkdir",
    "!!python/module:os",
    "!!binary aGk=",
    "&a [*a]",
    "2001-01-01",
    "0x" + "f" * 6000,
]


@pytest.mark.slow
@pytest.mark.parametrize("value", TAGS)
def test_tags_and_aliases_of_yaml_execute_nothing_and_stop_before_any_job(value, tmp_path):
    given = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    base = tmp_path / "base.yaml"
    base.write_text(yaml.safe_dump(given) + f"knn: {{k: {value}}}\n")
    output = snakemake(tmp_path, {}, "--dry-run", "--quiet", before=[base], check=False)
    assert "knn" in output or "not valid JSON or YAML" in output, output
    assert "Traceback" not in output and not (tmp_path / "made").exists()
