"""What this machine has, and what was written on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from beambench.presentation.layout import Page, escape

if TYPE_CHECKING:  # the store and the record are slow to import, and some verbs need neither
    from beambench.setup.doctor import Check
    from beambench.setup.new import Written


def print_written(written: Written) -> None:
    """Print which files were written, and what to type next."""
    for path in written.files:
        Page().print_whole(f"wrote {escape(str(path))}")
    Page().print("next:")
    for command in written.commands:
        Page().print_whole(f"  {escape(command)}")


def print_checks(checks: Sequence[Check]) -> None:
    for check in checks:
        mark = "[green]yes[/green]" if check.usable else "[yellow]no [/yellow]"
        Page().print_entry(f"{mark}  {check.kind:8} {escape(check.name)}: {escape(check.detail)}")
