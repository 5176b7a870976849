"""Which of the words after `--` were read by a parser, the user's or Beam's."""

from __future__ import annotations

import argparse
import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from apache_beam.options.pipeline_options import _BeamArgumentParser

from beambench.errors import UsageError, nearest
from beambench.workloads.pipeline.options import beam_parser

NOTED = ("parse_known_args", "parse_known_intermixed_args")
"""Methods of a parser through which all others go."""


class FlagsRead:
    """Notes what the parsers of argparse that a function uses make of its `argv`."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = [word for word in argv if word != "--"]
        self._read: set[str] = set()
        self._left: set[str] = set()
        self._known: set[str] = set()
        self._unread: list[str] | None = None

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Note all parsing inside; what is parsed, and how, stays as it is."""
        before = {name: getattr(argparse.ArgumentParser, name) for name in NOTED}
        for name, method in before.items():
            setattr(argparse.ArgumentParser, name, self._noting(method))
        try:
            yield
        finally:
            for name, method in before.items():
                setattr(argparse.ArgumentParser, name, method)

    def _noting(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def parse(
            parser: argparse.ArgumentParser, args: Any = None, *rest: Any, **options: Any
        ) -> Any:
            given = None if args is None else list(args)
            words = sys.argv[1:] if given is None else given
            parsed = method(parser, given, *rest, **options)
            self._note(parser, words, parsed[1])
            return parsed

        return parse

    def _note(self, parser: argparse.ArgumentParser, given: Sequence[str], left: Any) -> None:
        if self._unread is not None:
            return
        self._known |= set(parser._option_string_actions)
        words = set(given) & set(self._argv)
        self._read |= words - set(left)
        if not isinstance(parser, _BeamArgumentParser):
            self._left |= words & set(left)

    def unread(self) -> list[str]:
        """Return the words that nothing read until this was asked first.

        What Beam parses once the pipeline runs says nothing: it takes unknown flags for known.
        """
        if self._unread is None:
            parser = beam_parser()
            _, left = parser.parse_known_args(list(self._argv))
            self._note(parser, self._argv, left)
            self._unread = [word for word in self._argv if word not in self._read]
        return self._unread

    def check(self) -> None:
        """Check that no flag was left by the function's own parser and by Beam.

        Raises:
            UsageError: names the first, without its value, and the nearest that is known.
        """
        for word in self.unread():
            if word.startswith("-") and word in self._left:
                flag = word.partition("=")[0]
                raise UsageError(
                    f"nothing reads {flag}{nearest(flag, sorted(self._known))}: neither the "
                    "function's own parser nor Beam knows it"
                )

    def warnings(self) -> list[str]:
        """Return what may have been read in another way than by a parser of argparse."""
        flags = [word.partition("=")[0] for word in self.unread() if word.startswith("-")]
        named = ", ".join(dict.fromkeys(flags))
        return [f"no parser of argparse read {named}: does anything else?"] if flags else []
