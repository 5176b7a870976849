"""Weights as they lie on disk or in a bucket: their files and their size."""

from __future__ import annotations

from pathlib import Path

from beambench.definition.schema import SIZE_TOLERANCE
from beambench.errors import RunError
from beambench.inputs.files import is_address, stored

MIB = 1 << 20


def check_size(path: str, expected_mib: float | None) -> None:
    """Raise RunError unless the weights have the size on disk that the definition states."""
    if expected_mib is None:
        return
    size_mib = size_of(path) / MIB
    if abs(size_mib - expected_mib) > SIZE_TOLERANCE * expected_mib:
        raise RunError(
            f"model.size_mib says {expected_mib:g} MiB but {path} has {size_mib:.1f} MiB: "
            "this is not the model that the definition means"
        )


def size_of(path: str) -> int:
    """Return the bytes of weights: of a file, an object, or all files of a folder."""
    if is_address(path):
        return stored(path).size
    return sum(file.stat().st_size for file in weights_files(Path(path)))


def weights_files(path: Path) -> list[Path]:
    """Return the files of weights on this machine, sorted: the file itself, or all of a folder."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file())
