"""The rules of the house: packages in one order, none imports one below it, and what the Snakefile reads stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

LIBRARY = Path(__file__).parents[1] / "swsa_core"
# A package imports those before it and itself; README and docs show them in this order.
ORDER = (
    *(
        "metrics",
        "basics",
        "files",
        "diffusion",
        "embedding",
        "anomalies",
        "datasets",
        "mini",
        "candidates",
        "detectors",
    ),
    *("evaluation", "strategies", "config", "plan", "report", "paper"),
)
MODULES = sorted(LIBRARY.rglob("*.py"))


def imported(path):
    """(line, package or module of swsa_core) of every import in a file, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            whole = node.module == "swsa_core"
            names = [f"swsa_core.{name.name}" for name in node.names] if whole else [node.module]
        for name in names:
            steps = name.split(".")
            if steps[0] == "swsa_core" and len(steps) > 1:
                yield node.lineno, steps[1]


def test_every_package_has_its_place():
    found = {path.stem if path.is_file() else path.name for path in LIBRARY.iterdir() if path.suffix in (".py", "")}
    assert found - {"__init__", "__pycache__"} == set(ORDER)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_no_import_goes_up(path):
    package = path.relative_to(LIBRARY).parts[0].removesuffix(".py")
    allowed = set(ORDER[: ORDER.index(package) + 1]) if package in ORDER else set()
    upwards = [f"line {line}: {name}" for line, name in imported(path) if name in ORDER and name not in allowed]
    assert not upwards, f"{path.relative_to(LIBRARY)} imports from below itself: {upwards}"


@pytest.mark.parametrize("package", [name for name in ORDER if name != "metrics"])
def test_no_circle_among_the_modules_of_a_package(package):
    """Modules can be imported in any order, each in a fresh interpreter state of its package."""
    folder = LIBRARY / package
    edges = {}
    for path in folder.rglob("*.py"):
        name = ".".join(path.relative_to(LIBRARY.parent).with_suffix("").parts).removesuffix(".__init__")
        edges[name] = set()
        for node in ast.parse(path.read_text(encoding="utf-8")).body:  # at the top alone: those count at import
            if isinstance(node, ast.ImportFrom):
                edges[name] |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
    edges = {name: {to for to in targets if to in edges and to != name} for name, targets in edges.items()}
    done, waiting = set(), dict(edges)
    while ready := [name for name, targets in waiting.items() if targets <= done]:
        done |= set(ready)
        for name in ready:
            del waiting[name]
    assert not waiting, f"modules that import each other in a circle: {sorted(waiting)}"


def test_what_the_snakefile_reads_imports_neither_torch_nor_scipy():
    code = (
        "import sys\n"
        "import swsa_core.anomalies, swsa_core.datasets, swsa_core.candidates, swsa_core.strategies, swsa_core.config.config\n"
        "print(sorted({'torch', 'sklearn', 'scipy', 'matplotlib', 'torchvision', 'timm', 'open_clip'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=LIBRARY.parent, check=True)
    assert done.stdout.strip() == "[]"
