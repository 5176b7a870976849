"""What `doctor` finds out, and that nothing it looks at can break it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import sys
from pathlib import Path

import pytest

from beambench.machine.devices import Devices
from beambench.setup import doctor
from beambench.setup.doctor import Check, examine
from beambench.store import sqlite_url
from beambench.version import __version__


@pytest.fixture
def check(monkeypatch, tmp_path):
    """Examine this machine as if it had no GPU; return the checks by name."""
    monkeypatch.setattr(doctor, "cuda_devices", lambda: Devices(0, "no CUDA driver"))

    def check(url: str | None = None) -> dict[str, Check]:
        return {result.name: result for result in examine(url or sqlite_url(tmp_path / "runs.db"))}

    return check


def test_it_looks_at_interpreter_packages_runners_devices_and_store(check):
    checks = check()
    kinds = {name: result.kind for name, result in checks.items()}
    assert {kinds[name] for name in ("apache-beam", "torch", "pillow")} == {"package"}
    assert (kinds["python"], kinds["direct"], kinds["store"]) == ("python", "runner", "store")
    assert (kinds["cpu"], kinds["gpu"]) == ("device", "device")
    required = {name for name, result in checks.items() if result.required}
    assert required == {"python", "apache-beam", "direct", "cpu", "store"}
    assert all(checks[name].usable for name in required)


def test_a_package_is_named_with_its_version(check):
    version = importlib.metadata.version("apache-beam")
    assert check()["apache-beam"].detail == f"{version}, for runners and RunInference"


def test_a_missing_package_says_how_to_get_it(check, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
    checks = check()
    assert checks["torch"].detail == (
        "not installed, needed for image classification: pip install 'beambench[pytorch]'"
    )
    assert not checks["torch"].usable
    assert not checks["torch"].required
    assert (checks["direct"].usable, checks["direct"].detail) == (False, "apache-beam is missing")


def test_a_module_of_an_unknown_package_is_usable(check, monkeypatch):
    def version(distribution: str) -> str:
        raise importlib.metadata.PackageNotFoundError(distribution)

    monkeypatch.setattr(importlib.util, "find_spec", lambda module: object())
    monkeypatch.setattr(importlib.metadata, "version", version)
    result = check()["pillow"]
    assert (result.usable, result.detail) == (True, "version unknown, for reading images")


@pytest.mark.parametrize(
    ("devices", "usable", "detail"),
    [
        (Devices(0, "no CUDA driver"), False, "no CUDA driver"),
        (Devices(2, "all well"), True, "2 CUDA devices"),
    ],
)
def test_gpus_are_counted(check, monkeypatch, devices, usable, detail):
    monkeypatch.setattr(doctor, "cuda_devices", lambda: devices)
    result = check()["gpu"]
    assert (result.usable, result.detail, result.required) == (usable, detail, False)


def test_a_store_is_tried(check, tmp_path):
    url = sqlite_url(tmp_path / "runs.db")
    assert check(url)["store"].detail == f"{url} is writable"
    (tmp_path / "text.db").write_text("no database" * 1000)
    store = check(sqlite_url(tmp_path / "text.db"))["store"]
    assert not store.usable
    assert "is not a SQLite database" in store.detail


def test_a_password_is_not_shown(check, monkeypatch):
    class Open:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        def check_writable(self):
            return None

    monkeypatch.setattr(doctor.RunStore, "open", lambda url: Open())
    detail = check("postgresql://me:secret@host/runs")["store"].detail
    assert detail == "postgresql://me:***@host/runs is writable"


@pytest.fixture
def project(monkeypatch, tmp_path) -> Path:
    """The folder of beambench's own environment; the current folder is another."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "project" / ".venv"))
    return tmp_path / "project"


def interpreter(folder: Path, answer: str) -> Path:
    """Write a program that answers, and says beside itself that it ran."""
    path = folder / doctor.VLLM
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\ntouch \"$0.ran\"\necho '{answer}'\n")
    path.chmod(0o755)
    return path


def test_the_environment_of_vllm_is_not_required(check, project):
    result = check()["vllm"]
    assert (result.usable, result.required) == (False, False)
    assert result.detail.startswith("interpreter .venv-vllm/bin/python: is not there")


@pytest.mark.parametrize("version", [__version__, "0.0.1"])
def test_the_environment_of_vllm_beside_ours_is_asked(check, project, version):
    path = interpreter(project, json.dumps([[3, 11], version, "2.77.0"]))
    result = check()["vllm"]
    assert result.usable == (version == __version__)
    assert str(path) in result.detail
    assert Path(f"{path}.ran").exists()


def test_an_interpreter_of_the_current_folder_is_named_and_not_executed(check, project):
    path = interpreter(Path.cwd(), json.dumps([[3, 11], __version__, "2.77.0"]))
    result = check()["vllm"]
    assert not result.usable
    assert (
        result.detail == f"{path}: is there and used by runs from this folder; it was not executed"
    )
    assert not Path(f"{path}.ran").exists()
