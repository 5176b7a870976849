from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from beambench.machine import devices
from beambench.machine.devices import Devices, cuda_devices

ABSENT = "libcuda-that-nobody-has.so.1"


@pytest.fixture(autouse=True)
def _all_devices_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def driver(folder: Path, body: str) -> str:
    """Compile a stand-in for the driver and return its path."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source, library = folder / "driver.c", folder / "libcuda.so.1"
    source.write_text(f"#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n{body}\n")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True, timeout=60)
    return str(library)


def test_no_driver() -> None:
    assert cuda_devices(ABSENT) == Devices(0, f"no NVIDIA driver ({ABSENT} not found)")


def test_a_library_that_is_no_driver() -> None:
    probed = cuda_devices("libc.so.6")
    assert probed.count == 0
    assert probed.reason.startswith("the NVIDIA driver does not load (")
    assert "cuInit" in probed.reason


def test_a_file_that_is_no_library(tmp_path: Path) -> None:
    broken = tmp_path / "libcuda.so.1"
    broken.write_text("not a library")
    probed = cuda_devices(str(broken))
    assert probed.count == 0
    assert probed.reason.startswith("the NVIDIA driver does not load (")


def test_devices_are_counted_whatever_the_driver_prints(tmp_path: Path) -> None:
    body = """
    int cuInit(unsigned flags) { puts("hello from the driver"); fflush(stdout); return 0; }
    int cuDeviceGetCount(int *count) { *count = 2; return 0; }
    """
    assert cuda_devices(driver(tmp_path, body)) == Devices(2, "2 CUDA devices")


def test_a_crash_of_the_driver_does_not_reach_the_caller(tmp_path: Path) -> None:
    body = "int cuInit(unsigned flags) { abort(); }"
    assert cuda_devices(driver(tmp_path, body)) == Devices(
        0, "the NVIDIA driver crashed the probe (SIGABRT)"
    )


def test_a_driver_that_ends_the_process_is_no_answer(tmp_path: Path) -> None:
    body = "int cuInit(unsigned flags) { _exit(0); }"
    assert cuda_devices(driver(tmp_path, body)) == Devices(
        0, "the NVIDIA driver crashed the probe (exit code 0)"
    )


def test_the_answer_of_a_probe_that_failed_does_not_count() -> None:
    probed = devices._probe("print('count 2'); raise SystemExit(3)", ABSENT, timeout=20)
    assert probed == Devices(0, "the NVIDIA driver crashed the probe (exit code 3)")


def test_a_driver_that_hangs_is_given_up() -> None:
    began = time.monotonic()
    probed = devices._probe("import time; time.sleep(60)", ABSENT, timeout=0.2)
    assert probed == Devices(0, "the NVIDIA driver did not answer within 0.2 s")
    assert time.monotonic() - began < 10


def test_the_probe_cannot_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    assert cuda_devices(ABSENT) == Devices(
        0, "CUDA devices unknown: the probe did not start (No such file or directory)"
    )


@pytest.mark.parametrize(
    ("word", "detail", "expected"),
    [
        ("count", "1", Devices(1, "1 CUDA device")),
        ("count", "0", Devices(0, "an NVIDIA driver but no CUDA device")),
        ("failed", "100", Devices(0, "an NVIDIA driver but no CUDA device")),
        ("failed", "999", Devices(0, "the NVIDIA driver does not start (CUDA error 999)")),
    ],
)
def test_answers(word: str, detail: str, expected: Devices) -> None:
    assert devices._explain(word, detail, "libcuda.so.1") == expected


def test_hidden_devices_are_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices._explain("failed", "100", "libcuda.so.1") == Devices(
        0, "an NVIDIA driver but no CUDA device (CUDA_VISIBLE_DEVICES='')"
    )


def test_this_machine() -> None:
    probed = cuda_devices()
    assert probed.count >= 0
    assert probed.reason
    assert "\n" not in probed.reason
    if not any(Path("/dev").glob("nvidia[0-9]*")) and os.name == "posix":
        assert probed.count == 0
