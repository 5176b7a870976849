"""Beam's flags, read as Beam reads them."""

from __future__ import annotations

import argparse

from apache_beam.options.pipeline_options import (
    PipelineOptions,
    StandardOptions,
    _BeamArgumentParser,
)

from beambench.errors import UsageError, nearest


def beam_parser() -> argparse.ArgumentParser:
    """Return a parser of all of Beam's flags, and of those of the user's own options classes."""
    parser: argparse.ArgumentParser = _BeamArgumentParser(allow_abbrev=False, add_help=False)
    # A class defined twice counts once, as for Beam.
    for cls in {str(options): options for options in PipelineOptions.__subclasses__()}.values():
        cls._add_argparse_args(parser)
    return parser


def parse_flags(flags: list[str]) -> PipelineOptions:
    """Parse Beam flags.

    Raises:
        UsageError: a flag that Beam does not know, or that chooses a runner.
    """
    options = parsed(flags)
    parser = beam_parser()
    _, unknown = parser.parse_known_args(flags)
    if unknown:
        known = sorted(parser._option_string_actions)
        flag = unknown[0].partition("=")[0]
        raise UsageError(f"Beam 2.77 has no flag {flag}{nearest(flag, known)}")
    return options


def parsed(flags: list[str]) -> PipelineOptions:
    """Parse the flags that Beam knows.

    Raises:
        UsageError: a value that Beam does not take, or a flag that chooses a runner.
    """
    try:
        options = PipelineOptions(flags)
        options.get_all_options()
    except (SystemExit, ValueError) as error:
        reason = "a value is missing or of the wrong type"
        detail = str(error) if isinstance(error, ValueError) else reason
        raise UsageError(f"Beam flags {' '.join(flags)!r}: {detail}") from None
    if options.view_as(StandardOptions).runner:
        raise UsageError("--runner after --: choose the runner with beambench's own --runner")
    return options
