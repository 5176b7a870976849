"""Lines of an option file: flags, as Beam reads them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from beambench.definition.yaml_file import read_text
from beambench.errors import UsageError

_NAME = re.compile(r"--([A-Za-z][A-Za-z0-9_-]*)")
_NUMBER = re.compile(r"-\d+|-\d*\.\d+")
_NEEDS_NO_QUOTES = re.compile(r"[A-Za-z0-9_@%+=:,./{}\[\];~^!?*()<>|&-]*")


@dataclass(frozen=True)
class Flag:
    """One flag of a file.

    Attributes:
        name: without dashes.
        value: None for a flag that stands alone.
        where: file and line.
    """

    name: str
    value: str | None
    where: str

    def __str__(self) -> str:
        return f"--{self.name}" + ("" if self.value is None else f"={self.value}")

    def bare(self) -> Flag:
        """Return the flag without its value, which could be a secret that no record should hold."""
        return Flag(self.name, None, self.where)

    def refuse(self, problem: str) -> NoReturn:
        raise UsageError(f"{self.where}: {self}: {problem}")


def read(path: Path) -> list[Flag]:
    """Read the flags of a file.

    Raises:
        UsageError: the file cannot be read, or a line holds something else than flags.
    """
    return parse(read_text(path, "options file"), str(path))


def parse(text: str, file: str) -> list[Flag]:
    """Parse lines of `--flag=value`, `--flag value` or `--flag`; a line of `#` is a comment.

    Raises:
        UsageError: a line that holds something else, with file and line.
    """
    flags: list[Flag] = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            flags += _flags_in(line, f"{file}:{number}")
    return flags


def _flags_in(line: str, where: str) -> list[Flag]:
    if "\0" in line:
        raise UsageError(f"{where}: holds a NUL byte: remove it")
    try:
        words = shlex.split(line)
    except ValueError as error:
        problem = "a quote is not closed" if "quot" in str(error) else "ends in a backslash"
        raise UsageError(f"{where}: {problem}: {line.strip()!r:.100}") from None
    flags: list[Flag] = []
    may_have_value = False
    for word in words:
        dashed, equals, value = word.partition("=")
        name = _NAME.fullmatch(dashed)
        if name is not None:
            flags.append(Flag(name[1], value if equals else None, where))
            may_have_value = not equals
        elif may_have_value and (not word.startswith("-") or _NUMBER.fullmatch(word)):
            flags[-1] = Flag(flags[-1].name, word, where)
            may_have_value = False
        elif word.startswith("#"):
            raise UsageError(f"{where}: {word!r:.100}: put a comment on a line of its own")
        else:
            raise UsageError(f"{where}: {word!r:.100}: expected --flag=value")
    return flags


def as_line(flag: str) -> str:
    """Return a flag as a line of a file: in quotes where a shell or Beam would split it."""
    name, equals, value = flag.partition("=")
    return name + equals + (value if _NEEDS_NO_QUOTES.fullmatch(value) else shlex.quote(value))
