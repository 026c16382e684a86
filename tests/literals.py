"""The strings in the code of the project, for tests that say which of them must not be there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]


def code() -> list[Path]:
    """Every file of the library, of the scripts and of the rules."""
    scripts = [*(ROOT / "swsa_core").rglob("*.py"), *(ROOT / "workflow_scripts").glob("*.py")]
    return sorted([*scripts, *(ROOT / "rules").glob("*.smk"), ROOT / "Snakefile"])


def strings(path: Path) -> Iterator[tuple[str, str]]:
    """(place, text) of every string in a file, but for docstrings; {} stands for what an f-string fills in."""
    text, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
    if path.suffix != ".py":
        for number, line in enumerate(text.splitlines(), 1):
            yield from ((f"{name}:{number}", found) for found in re.findall(r'"([^"]*)"', line))
        return
    tree = ast.parse(text)
    parts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):  # a node comes before those in it
        if isinstance(node, ast.JoinedStr):
            parts |= {id(part) for part in node.values}
            pieces = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
            yield f"{name}:{node.lineno}", "".join(pieces)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield f"{name}:{node.lineno}", node.value


def elsewhere(package: str, entries: dict) -> Iterator[tuple[str, str, str]]:
    """(file below the root, place, text) of every string outside the modules of a registry's entries and its own."""
    own = {ROOT / "swsa_core" / package / f"{name}.py" for name in (*entries, "__init__")}
    for path in code():
        if path not in own:
            yield from ((path.relative_to(ROOT).as_posix(), place, text) for place, text in strings(path))
