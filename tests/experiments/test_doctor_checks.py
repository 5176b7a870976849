"""What `doctor` finds out, and that nothing it looks at can break it."""

from __future__ import annotations

import importlib.metadata
import importlib.util

import pytest

from beambench.errors import RunError
from beambench.experiments import doctor
from beambench.experiments.doctor import Check, examine
from beambench.machine.devices import Devices
from beambench.store import sqlite_url


@pytest.fixture
def check(monkeypatch, tmp_path):
    """Examine this machine as if it had no GPU; return the checks by name."""
    monkeypatch.setattr(doctor, "cuda_devices", lambda: Devices(0, "no CUDA driver"))

    def check(url: str | None = None) -> dict[str, Check]:
        return {one.name: one for one in examine(url or sqlite_url(tmp_path / "runs.db"))}

    return check


def test_it_looks_at_interpreter_packages_runners_devices_and_store(check):
    found = check()
    kinds = {name: one.kind for name, one in found.items()}
    assert {kinds[name] for name in ("apache-beam", "torch", "pillow")} == {"package"}
    assert (kinds["python"], kinds["direct"], kinds["store"]) == ("python", "runner", "store")
    assert (kinds["cpu"], kinds["gpu"]) == ("device", "device")
    required = {name for name, one in found.items() if one.required}
    assert required == {"python", "apache-beam", "direct", "cpu", "store"}
    assert all(found[name].usable for name in required)


def test_a_package_is_named_with_its_version(check):
    version = importlib.metadata.version("apache-beam")
    assert check()["apache-beam"].detail == f"{version}, for runners and RunInference"


def test_a_missing_package_says_how_to_get_it(check, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
    found = check()
    assert found["torch"].detail == (
        "not installed, needed for image classification: pip install 'beambench[pytorch]'"
    )
    assert not found["torch"].usable
    assert not found["torch"].required
    assert (found["direct"].usable, found["direct"].detail) == (False, "apache-beam is missing")


def test_a_module_of_an_unknown_package_is_usable(check, monkeypatch):
    def version(distribution: str) -> str:
        raise importlib.metadata.PackageNotFoundError(distribution)

    monkeypatch.setattr(importlib.util, "find_spec", lambda module: object())
    monkeypatch.setattr(importlib.metadata, "version", version)
    found = check()["pillow"]
    assert (found.usable, found.detail) == (True, "version unknown, for reading images")


@pytest.mark.parametrize(
    ("devices", "usable", "detail"),
    [
        (Devices(0, "no CUDA driver"), False, "no CUDA driver"),
        (Devices(2, "all well"), True, "2 CUDA devices"),
    ],
)
def test_gpus_are_counted(check, monkeypatch, devices, usable, detail):
    monkeypatch.setattr(doctor, "cuda_devices", lambda: devices)
    found = check()["gpu"]
    assert (found.usable, found.detail, found.required) == (usable, detail, False)


def test_a_store_is_tried(check, tmp_path):
    url = sqlite_url(tmp_path / "runs.db")
    assert check(url)["store"].detail == f"{url} is writable"
    (tmp_path / "text.db").write_text("no database" * 1000)
    found = check(sqlite_url(tmp_path / "text.db"))["store"]
    assert not found.usable
    assert "is not a SQLite database" in found.detail


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


def test_the_environment_of_vllm_is_looked_at_and_not_required(check, monkeypatch):
    def missing(named: str, definition: object) -> str:
        raise RunError(f"interpreter {named}: is not there")

    monkeypatch.setattr(doctor, "find_interpreter", missing)
    found = check()["vllm"]
    assert (found.usable, found.required) == (False, False)
    assert found.detail == "interpreter .venv-vllm/bin/python: is not there"
    monkeypatch.setattr(doctor, "find_interpreter", lambda named, _: f"/here/{named}")
    assert check()["vllm"].detail == "/here/.venv-vllm/bin/python, for text generation"
