"""The accelerators of this machine, found without loading a model framework."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass

from beambench.machine.processes import run_bounded

PROBE_TIMEOUT_SECONDS = 3.0

CUDA_ERROR_NO_DEVICE = 100

# It runs in a child of its own: a broken driver can hang or crash whoever calls cuInit, and a
# process that has called it can no longer fork workers that use CUDA. The alarm ends the child
# even if its parent was killed meanwhile. It prints one line: an answer and a detail.
_ANSWERS = ("count", "failed", "missing", "unloadable")
_PROBE = """
import ctypes, signal, sys
signal.alarm(10)
try:
    cuda = ctypes.CDLL(sys.argv[1])
    count = ctypes.c_int(0)
    code = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count))
    print("failed" if code else "count", code or count.value)
except OSError as error:
    file, _, why = str(error).partition(":")
    missing = sys.argv[1] in file and "no such file" in why.lower()
    print("missing" if missing else "unloadable", error)
except AttributeError as error:
    print("unloadable", error)
"""


@dataclass(frozen=True)
class Devices:
    """How many devices can be used, and one line that says why or why not."""

    count: int
    reason: str


def cuda_devices(library: str = "libcuda.so.1", timeout: float = PROBE_TIMEOUT_SECONDS) -> Devices:
    """Count the CUDA devices that a process started now would see.

    Never raises for lack of a driver or device, and returns within ``timeout`` + 1 seconds.
    """
    return _probe(_PROBE, library, timeout)


def _probe(code: str, library: str, timeout: float) -> Devices:
    try:
        finished = run_bounded([sys.executable, "-I", "-S", "-c", code, library], timeout)
    except TimeoutError:
        return Devices(0, f"the NVIDIA driver did not answer within {timeout:g} s")
    except OSError as error:
        return Devices(0, f"CUDA devices unknown: the probe did not start ({error.strerror})")
    # The driver may print lines of its own before ours.
    word, _, detail = (finished.stdout.splitlines() or [""])[-1].partition(" ")
    if finished.returncode != 0 or word not in _ANSWERS:
        return Devices(0, f"the NVIDIA driver crashed the probe ({_ending(finished.returncode)})")
    return _explain(word, detail, library)


def _explain(word: str, detail: str, library: str) -> Devices:
    """Turn the line that the probe printed into a count and a reason."""
    if word == "missing":
        return Devices(0, f"no NVIDIA driver ({library} not found)")
    if word == "unloadable":
        return Devices(0, f"the NVIDIA driver does not load ({detail})")
    count = int(detail) if word == "count" else 0
    if word == "failed" and int(detail) != CUDA_ERROR_NO_DEVICE:
        return Devices(0, f"the NVIDIA driver does not start (CUDA error {detail})")
    if count == 0:
        return Devices(0, f"an NVIDIA driver but no CUDA device{_visibility()}")
    return Devices(count, f"{count} CUDA device{'s' if count > 1 else ''}{_visibility()}")


def _visibility() -> str:
    """Say so if devices are hidden by the environment."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "" if visible is None else f" (CUDA_VISIBLE_DEVICES={visible!r})"


def _ending(returncode: int) -> str:
    """Name the signal or exit code that a process ended with."""
    try:
        return signal.Signals(-returncode).name
    except ValueError:
        return f"exit code {returncode}"
