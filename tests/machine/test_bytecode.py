"""Whether packages have bytecode that Python uses, on packages of a test."""

from __future__ import annotations

import compileall
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from beambench.machine import bytecode

NAME = "package_of_a_bytecode_test"


@pytest.fixture
def package(tmp_path, monkeypatch) -> Iterator[Path]:
    """A package that was never imported; its source."""
    source = tmp_path / NAME / "__init__.py"
    source.parent.mkdir()
    source.write_text("value = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    importlib.invalidate_caches()
    yield source
    sys.modules.pop(NAME, None)


def compiled(package: Path) -> None:
    assert compileall.compile_dir(str(package.parent), quiet=1)


def is_compiled() -> bool:
    """Import the package and ask."""
    importlib.import_module(NAME)
    return bytecode.uncompiled([NAME]) == []


def test_without_bytecode_every_worker_compiles(package):
    assert not is_compiled()


def test_bytecode_that_is_there_is_used(package):
    compiled(package)
    assert is_compiled()


def test_bytecode_that_python_writes_is_no_trouble(package, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert is_compiled()


@pytest.mark.parametrize("change", ["a later source", "another length", "another Python", "cut"])
def test_bytecode_that_python_would_not_use(package, change):
    """Files that were copied into an image are newer than their bytecode says."""
    compiled(package)
    (cached,) = package.parent.glob("__pycache__/*.pyc")
    if change == "a later source":
        os.utime(package, (2e9, 2e9))
    elif change == "another length":
        seconds = package.stat().st_mtime
        package.write_text("value = 10\n")
        os.utime(package, (seconds, seconds))
    elif change == "another Python":
        cached.write_bytes(b"\0\0\0\0" + cached.read_bytes()[4:])
    else:
        cached.write_bytes(cached.read_bytes()[:12])
    assert not is_compiled()


def test_bytecode_by_hash_of_the_source_is_used(package):
    mode = compileall.py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(str(package.parent), quiet=1, invalidation_mode=mode)
    os.utime(package, (2e9, 2e9))
    assert is_compiled()


def test_the_folder_of_all_bytecode_is_looked_into(package, tmp_path, monkeypatch):
    compiled(package)
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "elsewhere"))
    assert not is_compiled()
    compiled(package)
    assert is_compiled()


def test_what_was_not_imported_or_is_no_python_is_left_out(package):
    assert bytecode.uncompiled([NAME, "math", "sys"]) == []


@pytest.mark.parametrize(
    ("never_writes", "cause"),
    [(True, "PYTHONDONTWRITEBYTECODE is set"), (False, "it cannot be written")],
)
def test_the_warning_names_cause_and_cure(package, monkeypatch, never_writes, cause):
    importlib.import_module(NAME)
    monkeypatch.setattr(sys, "dont_write_bytecode", never_writes)
    monkeypatch.setattr(bytecode, "HEAVY", (NAME,))
    assert bytecode.warnings() == [
        f"{NAME} has no bytecode and {cause}: every worker compiles all that it imports, and "
        "start-up takes so much longer: run once "
        f"`{sys.executable} -m compileall -qq -j 0 {package.parent.parent}`"
    ]


def test_no_warning_where_bytecode_is(package, monkeypatch):
    compiled(package)
    importlib.import_module(NAME)
    monkeypatch.setattr(bytecode, "HEAVY", (NAME,))
    assert bytecode.warnings() == []
