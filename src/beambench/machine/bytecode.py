"""Whether the packages that take seconds to import have their bytecode."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path

HEAVY = ("apache_beam", "torch")
"""Each stands for the thousands of modules that come with it."""


def warnings() -> list[str]:
    """Warn of packages that every worker compiles anew; empty if there are none.

    Python has written the bytecode of what this process has imported, if it could.
    """
    specs = uncompiled(HEAVY)
    if not specs:
        return []
    names = " and ".join(spec.name for spec in specs)
    cause = "PYTHONDONTWRITEBYTECODE is set" if sys.dont_write_bytecode else "it cannot be written"
    folders = " ".join(dict.fromkeys(str(Path(str(spec.origin)).parents[1]) for spec in specs))
    return [
        f"{names} {'have' if len(specs) > 1 else 'has'} no bytecode and {cause}: every worker "
        "compiles all that it imports, and start-up takes so much longer: run once "
        f"`{sys.executable} -m compileall -qq -j 0 {folders}`"
    ]


def uncompiled(names: Sequence[str]) -> list[ModuleSpec]:
    """Return those of the packages that were imported without bytecode that Python would use."""
    specs = [getattr(sys.modules.get(name), "__spec__", None) for name in names]
    return [spec for spec in specs if spec is not None and not _is_compiled(spec)]


def _is_compiled(spec: ModuleSpec) -> bool:
    """Tell whether there is bytecode that Python would use: see PEP 552 for its first 16 bytes."""
    if not spec.has_location or spec.cached is None or spec.origin is None:
        return True  # machine code
    try:
        with Path(spec.cached).open("rb") as file:
            head = file.read(16)
        status = Path(spec.origin).stat()
    except OSError:
        return False
    if len(head) < 16 or head[:4] != importlib.util.MAGIC_NUMBER:
        return False
    if head[4] & 1:
        return True  # goes by the content of the source; whoever made it so sees to that
    expected = (int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF)
    return (int.from_bytes(head[8:12], "little"), int.from_bytes(head[12:16], "little")) == expected
