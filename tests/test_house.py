"""The rules of the house: packages in one order, none imports one below it, and what the Snakefile reads stays light."""

import ast
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from literals import ROOT, code, elsewhere, strings

from swsa_core.anomalies import SOURCES
from swsa_core.candidates import FAMILIES
from swsa_core.files import layout

LIBRARY = Path(__file__).parents[1] / "swsa_core"
# A package imports those before it and itself; README lists them in this order.
ORDER = (
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
    "exposure",
    "elsewhere",
    "evaluation",
    "strategies",
    "detect",
    "export",
    "config",
    "plan",
    "report",
    "paper",
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


def test_the_readme_lists_the_packages_in_their_order():
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("| package | what it answers |")[2]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.M)) == ORDER


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


# Rule 3

# Texts that are no name of a source or family though they are the same.
OTHERS = {
    **{  # what the anomalies of a kind of data set are
        f"swsa_core/{file}.py": {"defects"}
        for file in ("datasets/folder", "datasets/kind", "datasets/mvtec_ad", "datasets/visa", "plan/sizes")
    },
    "workflow_scripts/report.py": {"python"},  # whose version is told
    "swsa_core/files/drawings.py": {"procedural"},  # of a stream of random numbers
    "swsa_core/files/images.py": {r"procedural:(\d+):(\d+)"},  # the address of a drawn image
    "swsa_core/files/weights.py": {"mini", "mini:"},  # the folder of the bundled models, and how their names begin
}


@pytest.mark.parametrize(("package", "entries"), [("anomalies", SOURCES), ("candidates", FAMILIES)])
def test_no_name_of_a_source_or_family_outside_its_module(package, entries):
    named = re.compile(rf"({'|'.join(entries)})(:.*)?", re.DOTALL)
    found = [
        f"{place}: {text!r}"
        for file, place, text in elsewhere(package, entries)
        if named.fullmatch(text) and text not in OTHERS.get(file, ())
    ]
    assert not found, found


# Rule 4

STEPS = {step for path in layout.PATHS.values() for step in path.split("/") if "{" not in step} | {"logs"}


def is_result(text):
    """Whether a string with a / in it is the path of a result, of a log or of a benchmark, whatever stands for its fields."""
    if "/" not in text or "\n" in text.strip():
        return False
    for name in layout.PATHS:
        with suppress(ValueError):  # which says that it is none of this name
            layout.fields_of(name, text)
            return True
    return re.search(r"(^|/)(logs|benchmarks)/", text) is not None


def joined(path):
    """(place, text) of the strings that a Python file joins to a path with / or `joinpath`."""
    name = path.relative_to(ROOT).as_posix()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        parts = []
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            parts = [node.right]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("join", "joinpath"):
            parts = node.args
        for part in parts:
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield f"{name}:{node.lineno}", part.value


@pytest.mark.parametrize(
    "text",
    [
        *("{}/{}/scores/{}.h5", "results/{dataset}/images.csv", "{}/report.html", "{}/logs/tsne/{}.log"),
        *("pools/{}/images.csv", "{}/tables/paper/{}.csv", "{}/{}/support/{task}.json", "{}/figures"),
    ],
)
def test_a_path_by_hand_is_noticed(text):
    assert is_result(text)


def test_results_paths_are_written_in_the_layout_alone():
    files = [path for path in code() if path != LIBRARY / "files" / "layout.py"]
    found = [f"{place}: {text!r}" for path in files for place, text in strings(path) if is_result(text)]
    found += [
        f"{place}: joined with {text!r}"
        for path in files
        if path.suffix == ".py"
        for place, text in joined(path)
        if text in STEPS
    ]
    assert not found, found


# Signatures and lengths


def public(tree):
    """(function, whether it is a method) of the public functions at the top of a module and of its classes."""
    for node in tree.body:
        is_class = isinstance(node, ast.ClassDef)
        for each in node.body if is_class else [node]:
            if isinstance(each, ast.FunctionDef) and not each.name.startswith("_"):
                yield each, is_class


def without_annotation(function, is_method):
    """Names of the arguments without a type, and "return"."""
    signature = function.args
    arguments = [*signature.posonlyargs, *signature.args, *signature.kwonlyargs, signature.vararg, signature.kwarg]
    arguments = [each for each in arguments if each is not None]
    arguments = [each for each in arguments if not (is_method and each.arg in ("self", "cls"))]
    return [each.arg for each in arguments if each.annotation is None] + ["return"] * (function.returns is None)


def test_public_signatures_are_annotated():
    lacking = [
        f"{path.relative_to(LIBRARY)}:{function.lineno} {function.name}: {names}"
        for path in MODULES
        for function, is_method in public(ast.parse(path.read_text(encoding="utf-8")))
        if (names := without_annotation(function, is_method))
    ]
    assert not lacking, lacking


MOST_LINES = 50


def test_functions_fit_on_a_screen():
    long = []
    for path in (path for path in code() if path.suffix == ".py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                if lines > MOST_LINES:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {lines} lines")
    assert not long, long
