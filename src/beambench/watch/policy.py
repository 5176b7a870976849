"""The alarm policy as a setting: of the project file, and of the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields

from beambench.analysis.change_points.policy import AlarmPolicy
from beambench.errors import UsageError, nearest

SETTINGS = {field.name: type(field.default) for field in fields(AlarmPolicy)}
"""Name -> int or float."""


def policy_of(settings: Mapping[str, object], source: str) -> AlarmPolicy:
    """Return the policy with some settings changed.

    Args:
        settings: numbers by name.
        source: where they stand, for errors.

    Raises UsageError, which names the setting, for what is none or cannot be.
    """
    numbers = dict[str, float]()
    for name, value in settings.items():
        if name not in SETTINGS:
            raise UsageError(f"{source}: unknown setting {name!r}{nearest(name, list(SETTINGS))}")
        whole = SETTINGS[name] is int
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            kind = "a whole number" if whole else "a number"
            raise UsageError(f"{source}: {name}: expected {kind}, not {value!r:.60}")
        numbers[name] = value
    try:
        return AlarmPolicy(**numbers)  # type: ignore[arg-type] # whole numbers were checked
    except ValueError as error:
        raise UsageError(f"{source}: {error}") from None


def assignments(texts: Iterable[str], source: str) -> dict[str, object]:
    """Return `name=number` texts as settings. Raises UsageError for what is no such text."""
    settings = dict[str, object]()
    for text in texts:
        name, separator, number = text.partition("=")
        try:
            settings[name.strip()] = float(number) if "." in number else int(number)
        except ValueError:
            separator = ""
        if not separator:
            raise UsageError(f"{source} {text!r}: expected NAME=NUMBER, such as threshold=4.0")
    return settings
