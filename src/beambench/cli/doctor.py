"""`beambench doctor`."""

from __future__ import annotations

import typer

from beambench.cli.settings import JsonOption, StoreOption, store_url
from beambench.errors import EXIT_FAILED


def doctor(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Say what is installed, and which runners and devices can be used here, and why not."""
    from beambench.presentation.environment import print_checks
    from beambench.presentation.values import print_json
    from beambench.setup.doctor import examine

    checks = examine(store_url(store))
    if as_json:
        print_json([check.model_dump(mode="json") for check in checks])
    else:
        print_checks(checks)
    if any(check.required and not check.usable for check in checks):
        raise typer.Exit(EXIT_FAILED)
