"""`beambench metrics`."""

from __future__ import annotations

from typing import Annotated

import typer

from beambench.cli.settings import JsonOption
from beambench.errors import UsageError, nearest


def metrics(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[METRIC]...", help="None: all of them.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what metrics are: unit, direction, formula, and what Beam calls them."""
    from beambench.metrics.registry import metrics as registered
    from beambench.presentation.metrics import metric_facts, print_metrics
    from beambench.presentation.values import print_json

    known = {metric.name: metric for metric in registered()}
    for name in names or ():
        if name not in known:
            raise UsageError(f"no metric {name!r}{nearest(name, list(known))}")
    chosen = [known[name] for name in dict.fromkeys(names or known)]
    if as_json:
        print_json([metric_facts(metric) for metric in chosen])
    else:
        print_metrics(chosen)
