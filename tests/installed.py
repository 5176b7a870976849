"""Distributions as an installer leaves them: a folder for the search path, with entry points."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from beambench.definition.entry_points import entry_points

WORKLOAD = """
print("imported")

from beambench import Workload


class Square(Workload):
    input_types = ("numbers",)

    def model_handler(self):
        from beambench.workloads.noop_handler import NoopModelHandler

        return NoopModelHandler(min_batch_size=10, max_batch_size=20)

    def preprocess(self, raw):
        return raw

    def postprocess(self, prediction):
        return int(prediction.inference) ** 2
"""
DEFINITION = """
name: acme-squares
title: Squares
workload: acme-square
model: {name: square, weights: none}
input: {type: numbers, source: synthetic}
profiles:
  smoke: {limit: 200, repeats: 1, timeout: 120, slot_seconds: 0.05}
  local: {limit: 200, repeats: 1, timeout: 120, slot_seconds: 0.05}
"""
ENTRY_POINTS = """
[beambench.workloads]
acme-square = acme_benchmarks.workloads:Square

[beambench.catalogs]
acme = acme_benchmarks.catalog
"""
ACME = {
    "acme_benchmarks/__init__.py": "print('imported')\n",
    "acme_benchmarks/workloads.py": WORKLOAD,
    "acme_benchmarks/catalog/squares.yaml": DEFINITION,
}


def install(
    folder: Path,
    name: str = "acme-benchmarks",
    entry_points: str = ENTRY_POINTS,
    files: Mapping[str, str] = ACME,
) -> Path:
    """Write a distribution of version 1.2 into a folder; return the folder."""
    metadata = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    contents = {
        metadata / "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n",
        metadata / "entry_points.txt": entry_points,
        **{folder / path: text for path, text in files.items()},
    }
    for path, text in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def forget(package: str) -> None:
    """Forget what was imported of a package, and which entry points there are."""
    entry_points.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]
