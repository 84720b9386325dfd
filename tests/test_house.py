"""Rules of the house that no linter knows."""

import ast
import re
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "beffroi"
FILES = [path for path in SOURCE.rglob("*.py") if "versions" not in path.parts]


def places(pattern: str) -> list[str]:
    return [
        str(path.relative_to(SOURCE))
        for path in FILES
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(pattern, line)
    ]


def test_the_clock_is_read_in_one_place() -> None:
    assert places(r"datetime\.now\(|utcnow|time\.time\(") == ["engine/clock.py"]


def test_only_the_edge_commits() -> None:
    assert places(r"\.commit\(\)") == ["store/db.py"]


def test_files_and_functions_stay_short() -> None:
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 400, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 50, f"{path}: {node.name}"


def test_every_module_says_what_it_is_for() -> None:
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        assert not text.strip() or ast.get_docstring(ast.parse(text)), path
