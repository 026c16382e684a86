"""Whatever a config holds, validating it returns a dict or raises InputError whose lines name the keys.

SWSA_FUZZ_EXAMPLES=8000 in the environment tries more configs than the suite does.
"""

import copy
import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swsa_core.basics.errors import InputError
from swsa_core.config.config import Config, validate

EXAMPLES = int(os.environ.get("SWSA_FUZZ_EXAMPLES", "300"))

VALID = {
    "seed": 1,
    "results": "results",
    "datasets": {
        "d": {"kind": "digits", "tasks": ["0", "3"], "support": {"seeds": 10}},
        "own": {"kind": "folder", "root": "images", "class_name": "bolt", "templates": "industrial"},
        "birds": {"kind": "cub", "root": "birds", "archive": "birds.tgz"},
    },
    "support": {"seeds": 10},
    "sources": {
        "diffusion": {"model": "mini:adm_32", "steps": 10},
        "cutpaste": {"area": [0.1, 0.2]},
        "procedural": {"pool": 500},
    },
    "candidates": ["mini:vit_s", {"name": "mine", "model": "timm:resnet18", "args": {"num_classes": 3}, "crop": 64}],
    "knn": {"k": 3},
    "clip": {"model": "mini:clip", "templates": [["a {}", "a bad {}"]]},
    "preparation": {"size": 32},
    "runtime": {"device": "cpu", "threads": 1},
    "evaluation": {"protocols": ["paper"], "hardest": ["all", 3]},
    "figures": {"tsne": {"d": "3"}, "contact_sheets": {"d": ["3"]}},
    "strategies": ["swsa_diffusion", "random"],
}

YAML = {"True": "true", "None": "null"}  # how messages write keys that are no texts
KEYS = st.one_of(
    st.sampled_from(
        ["perlin", "kinds", "kind", "diffusion", "cub", "x.y", "knn.k", "", "a\nb", "root", "clip", "args"]
    ),
    st.sampled_from([1, True, None, -2.5]),
    st.text(max_size=5),
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from(
        [10**400, float("nan"), float("inf"), "~nobody-here/x", "{x}", "\0", "mini:", "all", "paper", "digits"]
    ),
    st.floats(),
    st.text(max_size=8),
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)


def places(value, path=()):
    """Paths of all values within a config, that of itself left out."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (*path, key)
        yield from places(inner, (*path, key))


def nested(depth):
    """A value that lies `depth` mappings and lists deep."""
    value = "x"
    for step in range(depth):
        value = {"deep": value} if step % 2 else [value]
    return value


@st.composite
def configs(draw):
    """A valid config, changed in one to four places."""
    config = copy.deepcopy(VALID)
    for _ in range(draw(st.integers(1, 4))):
        *steps, last = draw(st.sampled_from(sorted(places(config), key=repr) or [("seed",)]))
        section = config
        for step in steps:
            section = section[step]
        match draw(st.sampled_from(["drop", "null", "replace", "add", "deep"])):
            case "drop" if isinstance(section, dict):
                section.pop(last, None)
            case "null" | "drop":
                section[last] = None
            case "replace":
                section[last] = draw(VALUES)
            case "add" if isinstance(section, dict):
                section[draw(KEYS)] = draw(VALUES)
            case _:
                section[last] = nested(draw(st.sampled_from([1, 2, 5, 400])))
    return config


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(configs())
def test_a_config_is_a_dict_or_a_sentence_for_each_mistake(config):
    before = repr(config)
    try:
        assert isinstance(validate(config), dict)
    except InputError as error:
        named = [*Config.model_fields, *(YAML.get(repr(key), str(key))[:100] for key in config)]
        for line in str(error).split("\n"):
            assert any(key in line or repr(key)[1:-1] in line for key in named), line
            assert "Traceback" not in line and "pydantic" not in line and len(line) < 5000
            assert line.strip() and line.isprintable(), repr(line)
    assert repr(config) == before, "validating changed what was given"
