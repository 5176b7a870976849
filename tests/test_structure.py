"""The size of files, functions and folders: what a reader can take in at one go."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import beambench

PACKAGE = Path(beambench.__file__).parent
LONGEST_FILE = 400
LONGEST_FUNCTION = 60
LARGEST_FOLDER = 2000
"""Lines of the files that lie directly in it: what is larger has subfolders."""


def modules(package: Path = PACKAGE) -> Iterator[Path]:
    return package.rglob("*.py")


def lines_in(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def long_files(package: Path = PACKAGE) -> list[str]:
    return [path.name for path in modules(package) if lines_in(path) > LONGEST_FILE]


def long_functions(package: Path = PACKAGE) -> list[str]:
    return [
        f"{path.name}: {node.name}"
        for path in modules(package)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION
    ]


def large_folders(package: Path = PACKAGE) -> list[str]:
    folders = {path.parent for path in modules(package)}
    return [
        folder.name
        for folder in folders
        if sum(map(lines_in, folder.glob("*.py"))) > LARGEST_FOLDER
    ]


def test_files_functions_and_folders_are_short():
    assert len(list(modules())) > 200
    assert long_files() == []
    assert long_functions() == []
    assert large_folders() == []


def test_what_is_too_long_is_named(tmp_path):
    body = "\n".join("    x = 1" for _ in range(LONGEST_FUNCTION))
    (tmp_path / "long.py").write_text(f"def long():\n{body}\n")
    assert long_functions(tmp_path) == ["long.py: long"]
    for number in range(6):
        (tmp_path / f"{number}.py").write_text("x = 1\n" * LONGEST_FILE)
    assert long_files(tmp_path) == []
    assert large_folders(tmp_path) == [tmp_path.name]
    (tmp_path / "0.py").write_text("x = 1\n" * (LONGEST_FILE + 1))
    assert long_files(tmp_path) == ["0.py"]
