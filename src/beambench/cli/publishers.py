"""The names of publishers on the command line."""

from __future__ import annotations

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
        from beambench.definition.publishers import publisher_names, with_history

        for parameter in self.params:
            if isinstance(parameter, TyperOption) and parameter.help is not None:
                parameter.help = parameter.help.replace(CHOICES, " or ".join(publisher_names()))
            if parameter.metavar == HISTORIES:
                parameter.metavar = f"<{'|'.join(with_history())}>"
        super().format_help(ctx, formatter)
