from __future__ import annotations

import copy
import getpass
import hashlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
import pytest

from beambench.machine import environment
from beambench.machine.environment import comparable_part, fingerprint

X86_CPUINFO = """\
processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
cpu MHz\t\t: 2700.000
flags\t\t: sse4_2 hypervisor avx2 amx_bf16 avx512f amx_tile fpu
bugs\t\t: spectre_v1

processor\t: 1
model name\t: another
flags\t\t: fpu
"""
ARM_CPUINFO = """\
processor\t: 0
Features\t: fp asimd sve i8mm
CPU implementer\t: 0x41
CPU architecture: 8
CPU part\t: 0xd40
"""


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def machine(folder: Path) -> dict[str, Any]:
    part: dict[str, Any] = environment._machine(folder / "proc", folder / "sys")
    return part


def test_cpu_of_x86(tmp_path: Path) -> None:
    write(tmp_path / "proc/cpuinfo", X86_CPUINFO)
    described = machine(tmp_path)
    assert described["cpu_model"] == "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz"
    assert described["cpu_flags"] == [
        "amx_bf16",
        "amx_tile",
        "avx2",
        "avx512f",
        "fpu",
        "hypervisor",
        "sse4_2",
    ]
    yes = {name for name, has in described["instructions"].items() if has}
    assert yes == {"sse4_2", "avx2", "amx_bf16", "avx512f", "amx_tile"}
    assert described["instructions"]["amx_int8"] is False
    assert described["instructions"]["avx512_bf16"] is False
    assert described["instructions"]["avx_vnni"] is False
    assert described["virtualised"] is True


def test_a_real_machine_is_not_virtual(tmp_path: Path) -> None:
    write(tmp_path / "proc/cpuinfo", X86_CPUINFO.replace("hypervisor ", ""))
    assert machine(tmp_path)["virtualised"] is False


def test_cpu_of_arm_does_not_tell_whether_it_is_virtual(tmp_path: Path) -> None:
    write(tmp_path / "proc/cpuinfo", ARM_CPUINFO)
    described = machine(tmp_path)
    assert described["cpu_model"] == "implementer 0x41 part 0xd40"
    assert described["cpu_flags"] == ["asimd", "fp", "i8mm", "sve"]
    assert described["instructions"]["i8mm"] is True
    assert described["instructions"]["bf16"] is False
    assert "avx2" not in described["instructions"]
    assert described["virtualised"] is None


def test_without_proc_the_cpu_is_unknown(tmp_path: Path) -> None:
    described = machine(tmp_path)
    assert described["cpu_flags"] is None
    assert described["instructions"] == {}
    assert described["virtualised"] is None
    assert described["cgroup_version"] is None
    assert described["cores"]["cgroup_quota"] is None
    assert described["memory"]["cgroup_limit_bytes"] is None


def test_limits_of_cgroup_2_are_the_lowest_of_the_group_and_its_parents(tmp_path: Path) -> None:
    root = tmp_path / "sys/fs/cgroup"
    write(tmp_path / "proc/self/cgroup", "0::/pod/box\n")
    write(root / "cgroup.controllers", "cpu memory\n")
    write(root / "pod/cpu.max", "150000 100000\n")
    write(root / "pod/memory.max", "max\n")
    write(root / "pod/box/cpu.max", "400000 100000\n")
    write(root / "cpu.max", "max 100000\n")
    write(root / "pod/box/memory.max", "4294967296\n")
    described = machine(tmp_path)
    assert described["cgroup_version"] == 2
    assert described["cores"]["cgroup_quota"] == 1.5
    assert described["memory"]["cgroup_limit_bytes"] == 4 * 2**30


@pytest.mark.parametrize("path", ["/docker/0123", "/../../docker"])
def test_in_a_container_only_the_root_of_cgroups_is_visible(tmp_path: Path, path: str) -> None:
    root = tmp_path / "sys/fs/cgroup"
    write(tmp_path / "proc/self/cgroup", f"0::{path}\n")
    write(root / "cgroup.controllers", "cpu memory\n")
    write(root / "cpu.max", "50000 100000\n")
    write(root.parent / "cpu.max", "10000 100000\n")
    write(root / "memory.max", "1073741824\n")
    described = machine(tmp_path)
    assert described["cores"]["cgroup_quota"] == 0.5
    assert described["memory"]["cgroup_limit_bytes"] == 2**30


def test_limits_of_cgroup_1(tmp_path: Path) -> None:
    root = tmp_path / "sys/fs/cgroup"
    write(tmp_path / "proc/self/cgroup", "5:memory:/box\n4:cpu,cpuacct:/box\n0::/\n")
    write(root / "cpu/cpu.cfs_quota_us", "-1\n")
    write(root / "cpu/cpu.cfs_period_us", "100000\n")
    write(root / "cpu/box/cpu.cfs_quota_us", "300000\n")
    write(root / "cpu/box/cpu.cfs_period_us", "100000\n")
    write(root / "memory/memory.limit_in_bytes", "9223372036854771712\n")
    write(root / "memory/box/memory.limit_in_bytes", "2147483648\n")
    described = machine(tmp_path)
    assert described["cgroup_version"] == 1
    assert described["cores"]["cgroup_quota"] == 3.0
    assert described["memory"]["cgroup_limit_bytes"] == 2 * 2**30


def test_cgroup_1_without_limits(tmp_path: Path) -> None:
    root = tmp_path / "sys/fs/cgroup"
    write(tmp_path / "proc/self/cgroup", "5:memory:/\n1:cpu:/\n")
    write(root / "cpu/cpu.cfs_quota_us", "-1\n")
    write(root / "cpu/cpu.cfs_period_us", "100000\n")
    write(root / "memory/memory.limit_in_bytes", "9223372036854771712\n")
    described = machine(tmp_path)
    assert described["cgroup_version"] == 1
    assert described["cores"]["cgroup_quota"] is None
    assert described["memory"]["cgroup_limit_bytes"] is None


def test_packages_are_normalised_and_absent_ones_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    write(first / "SQLAlchemy-2.0.1.dist-info/METADATA", "Name: SQLAlchemy\nVersion: 2.0.1\n")
    write(first / "apache_beam-2.77.0.dist-info/METADATA", "Name: apache_beam\nVersion: 2.77.0\n")
    write(first / "half_removed-1.dist-info/RECORD", "")
    write(second / "apache_beam-2.1.0.dist-info/METADATA", "Name: apache_beam\nVersion: 2.1.0\n")
    write(second / "unknown_thing-3.dist-info/METADATA", "Name: unknown.thing\nVersion: 3\n")
    monkeypatch.setattr(sys, "path", [str(first), str(second)])
    described = fingerprint(tmp_path)
    assert described["packages"] == {"apache-beam": "2.77.0", "sqlalchemy": "2.0.1"}
    lines = b"apache-beam==2.77.0\nsqlalchemy==2.0.1\nunknown-thing==3"
    assert described["packages_digest"] == hashlib.sha256(lines).hexdigest()


def test_thread_settings_are_null_where_not_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    threads = fingerprint(tmp_path)["threads"]
    assert threads["OMP_NUM_THREADS"] == "3"
    assert threads["MKL_NUM_THREADS"] is None
    assert {"OPENBLAS_NUM_THREADS", "TORCH_NUM_THREADS"} <= threads.keys()


def example() -> dict[str, Any]:
    return {
        "machine": {
            "architecture": "x86_64",
            "cpu_model": "Xeon",
            "cpu_flags": ["avx2", "fpu"],
            "instructions": {"avx2": True},
            "cores": {"logical": 4, "physical": 2, "usable": 4, "cgroup_quota": None},
            "memory": {"total_bytes": 16 * 2**30, "cgroup_limit_bytes": None},
            "cgroup_version": 2,
            "virtualised": False,
        },
        "os": {"system": "Linux", "kernel": "6.1", "distribution": "Debian", "libc": "glibc 2.36"},
        "python": {"version": "3.11.7", "implementation": "CPython", "build": "b", "gil": True},
        "packages": {"torch": "2.13.0", "psutil": "7.0"},
        "packages_digest": "p",
        "threads": {"OMP_NUM_THREADS": None},
        "git": {"beambench": None, "project": None},
    }


def with_value(path: str, value: object) -> dict[str, Any]:
    changed = copy.deepcopy(example())
    *parents, last = path.split("/")
    part = changed
    for key in parents:
        part = part[key]
    part[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("machine/architecture", "aarch64"),
        ("machine/cpu_model", "EPYC"),
        ("machine/cpu_flags", ["fpu"]),
        ("machine/cores/logical", 8),
        ("machine/cores/physical", 4),
        ("machine/cores/usable", 2),
        ("machine/cores/cgroup_quota", 1.5),
        ("machine/memory/total_bytes", 32 * 2**30),
        ("machine/memory/cgroup_limit_bytes", 2**30),
        ("os/system", "Darwin"),
        ("python/version", "3.12.7"),
        ("python/implementation", "PyPy"),
        ("packages/torch", "2.14.0"),
        ("packages/vllm", "0.1"),
    ],
)
def test_what_keeps_runs_from_being_compared(path: str, value: object) -> None:
    assert comparable_part(with_value(path, value)) != comparable_part(example())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("machine/memory/total_bytes", 16 * 2**30 - 400 * 2**20),
        ("os/kernel", "6.2"),
        ("os/distribution", "Ubuntu"),
        ("python/version", "3.11.8"),
        ("packages/psutil", "8.0"),
        ("packages_digest", "q"),
        ("threads/OMP_NUM_THREADS", "2"),
        ("git/project", {"commit": "c", "dirty": True}),
    ],
)
def test_what_does_not(path: str, value: object) -> None:
    assert comparable_part(with_value(path, value)) == comparable_part(example())


def test_digests_are_over_the_comparable_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digests() -> tuple[str, str]:
        described = fingerprint(tmp_path, proc=tmp_path / "proc")
        return described["machine_digest"], described["fingerprint_digest"]

    write(tmp_path / "proc/cpuinfo", X86_CPUINFO)
    packages = {"torch": "2.13.0"}
    monkeypatch.setattr(environment, "installed_packages", lambda: packages)
    before = digests()
    assert digests() == before
    packages["torch"] = "2.14.0"
    other_package = digests()
    assert other_package[0] == before[0]
    assert other_package[1] != before[1]
    write(tmp_path / "proc/cpuinfo", ARM_CPUINFO)
    other_machine = digests()
    assert other_machine[0] != before[0]
    assert other_machine[1] != other_package[1]


def git(folder: Path, *arguments: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    author = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(folder), *author, *arguments]
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True, timeout=30)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        pytest.skip("no git")
    folder = tmp_path / "checkout"
    write(folder / "package/__init__.py", "")
    write(folder / "definition.yaml", "a: 1\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def test_commit_of_a_project(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    assert len(commit) >= 40
    assert fingerprint(checkout)["git"]["project"] == {"commit": commit, "dirty": False}


def test_results_in_a_project_do_not_make_it_dirty_but_changes_do(checkout: Path) -> None:
    write(checkout / "results.db", "new")
    assert environment._git_state(checkout) == {
        "commit": git(checkout, "rev-parse", "HEAD"),
        "dirty": False,
    }
    write(checkout / "definition.yaml", "a: 2\n")
    state = environment._git_state(checkout / "package")
    assert state is not None
    assert state["dirty"] is True


def test_a_package_is_dirty_by_its_own_folder_and_by_new_files(checkout: Path) -> None:
    def dirty() -> object:
        state = environment._git_state(checkout / "package", only_if_tracked="__init__.py")
        assert state is not None
        return state["dirty"]

    write(checkout / "definition.yaml", "a: 2\n")
    assert dirty() is False
    write(checkout / "package/new.py", "")
    assert dirty() is True


def test_a_package_installed_inside_someone_elses_checkout_has_no_commit(checkout: Path) -> None:
    write(checkout / ".venv/beambench/__init__.py", "")
    assert environment._git_state(checkout / ".venv/beambench") is not None
    assert environment._git_state(checkout / ".venv/beambench", "__init__.py") is None


def test_a_checkout_without_a_commit(tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("no git")
    git(tmp_path, "init", "--quiet")
    assert environment._git_state(tmp_path) == {"commit": None, "dirty": False}


def test_a_folder_that_is_no_checkout(tmp_path: Path) -> None:
    assert environment._git_state(tmp_path) is None
    assert environment._git_state(tmp_path / "nowhere") is None


def test_the_repository_of_a_hook_that_runs_us_is_not_ours(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(checkout / ".git"))
    other = tmp_path / "other"
    other.mkdir()
    assert environment._git_state(other) is None


def test_without_git(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fingerprint(checkout)["git"] == {"beambench": None, "project": None}


def test_dirty_is_unknown_if_git_takes_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        "#!/bin/sh\n"
        'case "$*" in\n'
        "*status*) exec sleep 60;;\n"
        "*is-inside*) echo true;;\n"
        "*HEAD*) echo 0123abc;;\n"
        "esac\n"
    )
    write(tmp_path / "bin/git", script)
    (tmp_path / "bin/git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(environment, "GIT_TIMEOUT_SECONDS", 1.0)
    began = time.monotonic()
    assert environment._git_state(tmp_path) == {"commit": "0123abc", "dirty": None}
    assert time.monotonic() - began < 20


def test_this_machine(tmp_path: Path) -> None:
    described = fingerprint(tmp_path)
    assert json.loads(json.dumps(described, allow_nan=False)) == described
    assert described["machine"]["architecture"] == platform.machine()
    assert described["machine"]["cores"]["logical"] == os.cpu_count()
    assert described["machine"]["memory"]["total_bytes"] == psutil.virtual_memory().total
    assert described["os"]["system"] == platform.system()
    assert described["python"]["version"] == platform.python_version()
    assert described["packages"]["psutil"] == metadata.version("psutil")
    assert described["git"]["project"] is None
    assert fingerprint(tmp_path) == described


def test_nothing_private_is_in_it(tmp_path: Path) -> None:
    described = fingerprint(tmp_path)
    del described["threads"]
    text = json.dumps(described)
    for private in (str(tmp_path), sys.executable, sys.prefix, str(Path.home())):
        assert private not in text
    values = set(_leaves(described))
    assert not values & {socket.gethostname(), getpass.getuser()}


def _leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in _leaves(part)]
    if isinstance(value, list):
        return [leaf for part in value for leaf in _leaves(part)]
    return [value]


def test_the_machine_package_is_light() -> None:
    code = (
        "import sys\n"
        "from beambench.machine import devices, environment, noise, processes\n"
        "from pathlib import Path\n"
        "environment.fingerprint(Path.cwd())\n"
        "heavy = {'apache_beam', 'torch', 'transformers', 'numpy', 'scipy', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
