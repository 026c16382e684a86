"""A stage whose code changed gets a new version, or its change is accepted as one that alters no number.

`python tests/test_versions.py` accepts the code as it is; do it after raising the version in swsa_core/versions.py where
results change.
"""

import ast
import json
from hashlib import sha256
from pathlib import Path

import pytest

from swsa_core.versions import STAGE_VERSIONS

ROOT = Path(__file__).parents[1]
ACCEPTED = Path(__file__).with_name("stage_digests.json")
# Modules that tell, carry and name results but do not make them.
PLUMBING = {"errors", "names", "store", "config", "config_errors", "versions"}


def imported(tree):
    """Names of the swsa_core modules (or members) that a module imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "swsa_core":
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def source_file(module):
    """The file of a swsa_core module, None for anything else."""
    steps = module.split(".")
    if steps[0] != "swsa_core" or len(steps) == 1 or steps[1] in PLUMBING:
        return None
    path = ROOT.joinpath(*steps)
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def modules_of(script):
    """The script and all library files that it imports, directly or not."""
    found, waiting = set(), [script]
    while waiting:
        file = waiting.pop()
        if file and file not in found:
            found.add(file)
            waiting += map(source_file, imported(ast.parse(file.read_text())))
    return sorted(found)


def code(file):
    """A file's syntax tree without docstrings, as text: formatting and comments do not count."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


def digest(stage):
    files = modules_of(ROOT / "workflow_scripts" / f"{stage}.py")
    text = "\n".join(f"{file.relative_to(ROOT)}\n{code(file)}" for file in files)
    return sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize("stage", STAGE_VERSIONS)
def test_changed_code_has_a_new_version_or_was_accepted(stage):
    version, accepted = json.loads(ACCEPTED.read_text())[stage]
    assert (version, accepted) == (STAGE_VERSIONS[stage], digest(stage)), (
        f"the code of stage {stage!r} changed: raise its version in swsa_core/versions.py if its results change, "
        "then accept the code with `python tests/test_versions.py`"
    )


def test_every_script_is_a_stage():
    scripts = {path.stem for path in (ROOT / "workflow_scripts").glob("[a-z]*.py")}
    assert scripts == set(STAGE_VERSIONS)


def test_digest_ignores_docstrings_and_comments_only(tmp_path):
    first, second, third = (tmp_path / name for name in "abc")
    first.write_text('"""Doc."""\ndef f(x):\n    """Doc."""\n    return x  # why\n')
    second.write_text("def f(x):\n    return (x)\n")
    third.write_text("def f(x):\n    return -x\n")
    assert code(first) == code(second) != code(third)


def test_digest_follows_imports():
    files = {file.name for file in modules_of(ROOT / "workflow_scripts" / "cutpaste.py")}
    assert {"cutpaste.py", "images.py", "seeding.py", "procedural.py"} <= files
    assert "store.py" not in files


if __name__ == "__main__":
    digests = {stage: [version, digest(stage)] for stage, version in STAGE_VERSIONS.items()}
    ACCEPTED.write_text(json.dumps(digests, indent=1) + "\n")
