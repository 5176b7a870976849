"""The names of publishers on the command line."""

from __future__ import annotations

import copy
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

CHOICES, HISTORIES = "PUBLISHERS", "<PUBLISHERS>"
"""What stands for the names until a help is asked for: looking for packages takes time."""

PublisherOption = Annotated[
    list[str] | None,
    typer.Option(
        "--publish",
        metavar="PUBLISHER",
        envvar="BEAMBENCH_PUBLISH",
        help=f"{CHOICES}; can be repeated. Default: publish.to of the benchmark.",
    ),
]


class NamesPublishers(TyperCommand):
    """A verb whose help names the publishers that are installed."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # types that typer keeps to itself
        named = copy.copy(self)
        named.params = [_named(parameter) for parameter in self.params]
        super(NamesPublishers, named).format_help(ctx, formatter)


def _named(parameter: Any) -> Any:
    """Return a parameter whose help holds the names in place of what stands for them."""
    from beambench.definition.publishers import publisher_names, with_history

    if not isinstance(parameter, TyperOption):
        return parameter
    changed = copy.copy(parameter)
    if parameter.help is not None and CHOICES in parameter.help:
        changed.help = parameter.help.replace(CHOICES, " or ".join(publisher_names()))
    if parameter.metavar == HISTORIES:
        changed.metavar = f"<{'|'.join(with_history())}>"
    return changed
