"""A stage whose code changed gets a new version, or its change is accepted as one that alters no number.

`python tests/rules/test_versions.py` accepts the code as it is; do it after raising the version in
swsa_core/basics/versions.py where results change.
"""

import ast
import json
from hashlib import sha256
from pathlib import Path

import pytest

from swsa_core.anomalies import SOURCES
from swsa_core.anomalies.source import reconstructing
from swsa_core.basics.versions import STAGE_VERSIONS
from swsa_core.datasets import KINDS
from swsa_core.detectors import HEADS

ROOT = Path(__file__).parents[2]
ACCEPTED = Path(__file__).with_name("stage_digests.json")
PACKAGES = ("swsa_core", "workflow_scripts")
# Modules that tell, carry and name results but do not make them.
PLUMBING = {
    "basics.errors",
    "basics.names",
    "basics.versions",
    "files.checksums",
    "files.foreign_hdf5",
    "files.kept",
    "files.partial_rows",
    "files.store",
    "files.text",
    "files.layout",
    "config",
    "_interrupts",
    "job",
}


SHAPES = {"index_pool": "pool", "sample_nearest": "of_pool", "sample_others": "others"}  # whose sources a stage runs
GENERATED = {name: source.version for name, source in SOURCES.items() if source.generated}
OF_HEADS = {f"score_{name}": head.version for name, head in HEADS.items()}
GENERATED |= {reconstructing(name): source.version for name, source in SOURCES.items() if source.reconstruct}
VERSIONS = STAGE_VERSIONS | GENERATED | OF_HEADS


def imported(tree, entries):
    """Names of the project's modules (or members) that a module imports, anywhere in it.

    entries: function of a registry's package and the names of its entries to those that count.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "entries":
            package, _, *names = map(ast.literal_eval, node.args)
            yield from (f"{package}.{name}" for name in entries(package, names))


def source_file(module):
    """The file of a module of the project, None for anything else."""
    steps = module.split(".")
    if steps[0] not in PACKAGES or any(".".join(steps[1:n]) in PLUMBING for n in range(2, len(steps) + 1)):
        return None
    path = ROOT.joinpath(*steps)
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def modules_of(stage):
    """The script of a stage and all library files that it imports, directly or not, entries of registries included.

    Of the sources of anomalies and of the heads only those that it runs: the others do not change what it computes.
    """
    name = "generate" if stage in GENERATED else "score" if stage in OF_HEADS else stage

    def entries(package, names):
        if package == "swsa_core.detectors":
            return [one for one in names if one == stage]
        return (
            names
            if package != "swsa_core.anomalies"
            else [
                one
                for one in names
                if stage in (one, reconstructing(one)) or (stage in SHAPES and getattr(SOURCES[one], SHAPES[stage]))
            ]
        )

    found, waiting = set(), [ROOT / "workflow_scripts" / f"{name}.py"]
    while waiting:
        file = waiting.pop()
        if file and file not in found:
            found.add(file)
            waiting += map(source_file, imported(ast.parse(file.read_text()), entries))
    return sorted(found)


def code(file):
    """A file's syntax tree without docstrings, as text: formatting and comments do not count."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "entries":
            node.args = node.args[:2]  # `modules_of` follows the entries that count; another one changes no stage
    return text(tree)


def text(node):
    """Like `ast.dump`, but the same in every version of Python: fields without a value are left out."""
    if isinstance(node, list):
        return "[" + ",".join(map(text, node)) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = (f"{name}={text(value)}" for name, value in ast.iter_fields(node) if value not in (None, []))
    return f"{type(node).__name__}({','.join(fields)})"


def data_of(file):
    """Files that belong to a module by name, flowers_names.txt to flowers.py, or lie in the folder of its data beside it."""
    named = [path for path in file.parent.glob(f"{file.stem}[._]*") if path.suffix not in (".py", ".pyc")]
    folders = {"templating": "templates", "prompts": "templates", "__init__": "."}
    beside = file.parent / folders.get(file.stem, "absent")
    return sorted({*named, *(path for kind in ("*.csv", "*.jinja") for path in beside.glob(kind))})


def digest(stage):
    files = modules_of(stage)
    parts = [f"{file.relative_to(ROOT)}\n{code(file)}" for file in files]
    parts += [data.read_text(encoding="utf-8") for file in files for data in data_of(file)]
    return sha256("\n".join(parts).encode()).hexdigest()[:16]


@pytest.mark.parametrize("stage", VERSIONS)
def test_changed_code_has_a_new_version_or_was_accepted(stage):
    version, accepted = json.loads(ACCEPTED.read_text()).get(stage, (None, None))
    assert (version, accepted) == (VERSIONS[stage], digest(stage)), (
        f"the code of stage {stage!r} changed: raise its version in swsa_core/basics/versions.py if its results change, "
        "then accept the code with `python tests/rules/test_versions.py`"
    )


def test_every_script_is_a_stage():
    scripts = {path.stem for path in (ROOT / "workflow_scripts").glob("[a-z]*.py")}
    assert scripts - {"job", "generate", "score"} == set(STAGE_VERSIONS)


def test_digest_ignores_docstrings_and_comments_only(tmp_path):
    first, second, third = (tmp_path / name for name in "abc")
    first.write_text('"""Doc."""\ndef f(x):\n    """Doc."""\n    return x  # why\n')
    second.write_text("def f(x):\n    return (x)\n")
    third.write_text("def f(x):\n    return -x\n")
    assert code(first) == code(second) != code(third)


@pytest.mark.parametrize(
    ("stage", "within"),
    [
        ("cutpaste", {"generate.py", "cutpaste.py", "images.py", "seeding.py", "drawings.py"}),
        *((f"embed_{what}", {"_embed.py", "embed.py", "backbone.py", "torchvision.py", "transforms.py", "descriptor.py"})
          for what in ("images", "support", "anomalies", "pool")),
        ("index_images", {"kind.py", "rows.py", *(f"{name}.py" for name in KINDS)}),
        ("report", {"read_tables.py", "read_pictures.py", "page.py", "contact_sheets.py"}),
        ("figures", {"read_tables.py", "read_pictures.py", "figures.py"}),
    ],
)  # fmt: skip
def test_digest_follows_imports(stage, within):
    files = {file.name for file in modules_of(stage)}
    assert within <= files
    assert not {"store.py", "partial_rows.py", "foreign_hdf5.py", "job.py"} & files


def test_digest_holds_data_files():
    def names(*place):
        return {path.name for path in data_of(ROOT.joinpath("swsa_core", *place))}

    assert names("report", "templating.py") >= {"report.html.jinja", "prompts.html.jinja", "style.html.jinja"}
    assert names("datasets", "flowers.py") == {"flowers_names.txt"}
    assert names("paper", "printed", "__init__.py") >= {"table1.csv", "table2.csv", "table3.csv"}
    assert "industrial.csv" in names("candidates", "prompts.py")


if __name__ == "__main__":
    digests = {stage: [version, digest(stage)] for stage, version in VERSIONS.items()}
    ACCEPTED.write_text(json.dumps(digests, indent=1) + "\n")
