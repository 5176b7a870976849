"""Beam's flags as a user gives them: the words after ``--``, read without Beam."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class NamedValue(NamedTuple):
    """A flag without its dashes; its value is None where it has none."""

    name: str
    value: str | None

    def __str__(self) -> str:
        return f"--{self.name}" if self.value is None else f"--{self.name}={self.value}"


@dataclass(frozen=True)
class BeamFlags:
    """Words of a command line: ``--name=value``, ``--name value`` or ``--name``."""

    words: Sequence[str]

    def _read(self) -> Iterator[NamedValue | str]:
        """Yield each flag, whichever way it is written, and as they are the words of none."""
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
            else:
                yield word
        if name is not None:
            yield NamedValue(name, None)

    def __iter__(self) -> Iterator[NamedValue]:
        return (flag for flag in self._read() if isinstance(flag, NamedValue))

    def __contains__(self, name: str) -> bool:
        return any(flag.name == name for flag in self)

    def value(self, name: str) -> str | None:
        """Return the value of a flag, the last one if it stands several times."""
        values = [flag.value for flag in self if flag.name == name and flag.value is not None]
        return values[-1] if values else None

    def stray_word(self) -> str | None:
        """Return the first word that is neither a flag nor the value of the one before it."""
        return next((word for word in self._read() if isinstance(word, str)), None)
