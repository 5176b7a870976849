"""`beambench publish --changes`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from beambench.cli.console.messages import say
from beambench.cli.watch.settings import policy_in_force
from beambench.errors import EXIT_UNPUBLISHED

if TYPE_CHECKING:
    from beambench.store.run_store import RunStore


def send_changes(store: RunStore, timeout: float, as_json: bool) -> None:
    """Publish where levels changed, and say how often; leave with an exit code if that failed."""
    from beambench.presentation.values import print_json, print_text
    from beambench.publishers.base import UnavailableError
    from beambench.watch.published_changes import publish_changes

    try:
        counts = publish_changes(store, policy_in_force(None), time.monotonic() + timeout)
    except UnavailableError as error:
        say(f"influxdb: changes are not published: {error}: try again later")
        raise typer.Exit(EXIT_UNPUBLISHED) from None
    if as_json:
        print_json({"publisher": "influxdb", "changes": counts})
    else:
        for name, count in counts.items():
            print_text(f"influxdb: {name}: {count} change{'' if count == 1 else 's'}")
