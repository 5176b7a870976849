"""Wheels made from what is installed: whole, installable, the same bytes every time."""

from __future__ import annotations

import csv
import importlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from beambench.errors import RunError, UsageError
from beambench.runners.dataflow.packaging import (
    dockerfile,
    installed_wheel,
    pinned,
    staged_requirements,
    wheels_of,
    workload_wheel,
)

PACKAGE = Path(__file__).parents[3] / "src" / "beambench"


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder of a user's own modules, on the path."""
    folder = tmp_path / "mine"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)

    def write(**modules: str) -> Path:
        for name, text in modules.items():
            path = folder / f"{name.replace('__in__', '/')}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        importlib.invalidate_caches()
        return folder

    return write


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as content:
        assert content.testzip() is None
        return {name for name in content.namelist() if ".dist-info/" not in name}


def test_beambench_goes_whole(tmp_path):
    wheel = installed_wheel("beambench", "beambench", tmp_path)
    assert names_in(wheel) == {
        f"beambench/{path.relative_to(PACKAGE).as_posix()}"
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_a_wheel_lists_what_it_holds(tmp_path):
    wheel = installed_wheel("beambench", "beambench", tmp_path)
    with zipfile.ZipFile(wheel) as content:
        (record,) = [name for name in content.namelist() if name.endswith("RECORD")]
        listed = list(csv.reader(content.read(record).decode().splitlines()))
        assert [row[0] for row in listed] == content.namelist()
        sizes = {member.filename: member.file_size for member in content.infolist()}
        assert all(int(row[2]) == sizes[row[0]] for row in listed[:-1])
        folder = record.rpartition("/")[0]
        assert b"Name: beambench\n" in content.read(f"{folder}/METADATA")
        assert b"[console_scripts]" in content.read(f"{folder}/entry_points.txt")


def test_the_same_files_make_the_same_bytes(tmp_path):
    (tmp_path / "other").mkdir()
    first = installed_wheel("beambench", "beambench", tmp_path)
    second = installed_wheel("beambench", "beambench", tmp_path / "other")
    assert first.read_bytes() == second.read_bytes()


def test_a_wheel_can_be_made_from_an_installed_wheel(tmp_path):
    first = installed_wheel("beambench", "beambench", tmp_path)
    site = tmp_path / "site"
    with zipfile.ZipFile(first) as content:
        content.extractall(site)
    (tmp_path / "again").mkdir()
    program = (
        "import pathlib, sys; from beambench.runners.dataflow.packaging import installed_wheel; "
        "installed_wheel('beambench', 'beambench', pathlib.Path(sys.argv[1]))"
    )
    subprocess.run(
        [sys.executable, "-c", program, tmp_path / "again"],
        env={"PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"},
        check=True,
    )
    assert (tmp_path / "again" / first.name).read_bytes() == first.read_bytes()


def test_what_a_module_imports_from_its_folder_goes_with_it(mine, tmp_path):
    mine(
        my_first="import json\nimport my_second\n",
        my_second="def later():\n    from my_package.inner import thing\n",
        my_package__in____init__="",
        my_package__in__inner="import my_third as other\n",
        my_third="",
        my_stranger="",
    )
    (tmp_path / "mine" / "my_package" / "data.txt").write_text("data")
    assert names_in(workload_wheel("my_first", tmp_path)) == {
        "my_first.py",
        "my_second.py",
        "my_package/__init__.py",
        "my_package/inner.py",
        "my_package/data.txt",
        "my_third.py",
    }


def test_a_package_goes_whole(mine, tmp_path):
    mine(our_package__in____init__="", our_package__in__one="", our_package__in__two="")
    assert names_in(workload_wheel("our_package.one", tmp_path)) == {
        f"our_package/{name}.py" for name in ("__init__", "one", "two")
    }


def test_another_content_is_another_version(mine, tmp_path):
    mine(changing_module="a = 1\n")
    first = workload_wheel("changing_module", tmp_path)
    mine(changing_module="a = 2\n")
    assert workload_wheel("changing_module", tmp_path).name != first.name


@pytest.mark.parametrize(
    ("text", "problem"),
    [("def broken(:\n", "cannot be read: invalid syntax"), ("\0", "cannot be read")],
)
def test_a_module_that_is_no_python_is_named(mine, tmp_path, text, problem):
    mine(broken_module=text)
    with pytest.raises(RunError, match=problem) as caught:
        workload_wheel("broken_module", tmp_path)
    assert "broken_module.py" in str(caught.value)


def test_compiled_parts_are_refused(mine, tmp_path):
    folder = mine(quick_package__in____init__="") / "quick_package"
    (folder / "fast.so").write_bytes(b"\x7fELF")
    with pytest.raises(RunError, match=r"fast\.so: compiled parts .* use an image"):
        workload_wheel("quick_package", tmp_path)


def test_a_module_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match="no module 'no_such_module' to send to workers"):
        workload_wheel("no_such_module", tmp_path)


def test_which_wheels_a_workload_needs(mine, tmp_path):
    mine(a_workload="")
    own = [wheel.name.partition("-")[0] for wheel in wheels_of("overhead", None, tmp_path)]
    assert own == ["beambench"]
    users = [wheel.name.partition("-")[0] for wheel in wheels_of("a_workload:W", None, tmp_path)]
    assert users == ["beambench", "beambench_workload"]


def test_requirements_are_pinned_to_what_is_here():
    lines = staged_requirements(["numpy", "apache-beam[gcp]", "no-such-distribution"])
    import numpy

    assert f"numpy=={numpy.__version__}" in lines
    assert not [line for line in lines if line.startswith(("apache-beam", "beambench"))]
    assert lines[-2:] == [
        "# no-such-distribution is not installed here, so no version is pinned",
        "no-such-distribution",
    ]
    assert any(line.startswith("pydantic==") for line in lines)


def test_a_local_build_is_pinned_to_its_release():
    assert list(pinned(["torch"], ["2.13.0+cpu"], "here")) == [
        "# torch 2.13.0+cpu is installed here",
        "torch==2.13.0",
    ]


def test_a_dockerfile_installs_what_it_copies(tmp_path):
    wheel, requirements = tmp_path / "a-1-py3-none-any.whl", tmp_path / "requirements.txt"
    lines = dockerfile("apache/beam_python3.11_sdk:2.77.0", [wheel], requirements).splitlines()
    assert lines[0] == "FROM apache/beam_python3.11_sdk:2.77.0"
    assert lines[1] == "COPY requirements.txt a-1-py3-none-any.whl /beambench/"
    assert "-r /beambench/requirements.txt /beambench/a-1-py3-none-any.whl" in lines[2]
