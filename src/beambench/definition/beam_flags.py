"""Beam's flags as a user gives them: the words after ``--``, read without Beam."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class NamedValue(NamedTuple):
    """A flag without its dashes; its value is None where it has none."""

    name: str
    value: str | None


@dataclass(frozen=True)
class BeamFlags:
    """Words of a command line: ``--name=value``, ``--name value`` or ``--name``."""

    words: Sequence[str]

    def __iter__(self) -> Iterator[NamedValue]:
        """Yield name and value of each flag, whichever way the two are written."""
        name: str | None = None
        for word in self.words:
            if word.startswith("--"):
                if name is not None:
                    yield NamedValue(name, None)
                own, equals, value = word[2:].partition("=")
                if equals:
                    yield NamedValue(own, value)
                name = None if equals else own
            elif name is not None:
                yield NamedValue(name, word)
                name = None
        if name is not None:
            yield NamedValue(name, None)

    def __contains__(self, name: str) -> bool:
        return any(flag.name == name for flag in self)

    def value(self, name: str) -> str | None:
        """Return the value of a flag, the last one if it stands several times."""
        values = [flag.value for flag in self if flag.name == name and flag.value is not None]
        return values[-1] if values else None

    def stray_word(self) -> str | None:
        """Return the first word that is neither a flag nor the value of the one before it."""
        may_have_value = False
        for word in self.words:
            if not word.startswith("--") and not may_have_value:
                return word
            may_have_value = word.startswith("--") and "=" not in word
        return None
