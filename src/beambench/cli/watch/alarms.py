"""`beambench alarms`."""

from __future__ import annotations

from typing import Annotated

import typer

from beambench.cli.settings import DefinitionsOption, JsonOption, StoreOption, library, store_url
from beambench.cli.watch.settings import PolicyOption, policy_in_force
from beambench.errors import EXIT_REGRESSION, UsageError, nearest


def alarms(
    context: typer.Context,
    benchmark: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Watch this benchmark only; can be repeated."),
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(metavar="M", help="Watch this metric; can be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Runs of a benchmark, the newest.")] = 400,
    policy: PolicyOption = None,
    store: StoreOption = None,
    definitions: DefinitionsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with the histories of a store: worse levels, missing runs, new definitions.

    Exit code 1 if there is an alarm that is new or open.
    """
    from beambench.clock import utc_now
    from beambench.presentation.alarms import alarms_document, print_alarms
    from beambench.presentation.values import print_json
    from beambench.store.run_store import RunStore
    from beambench.watch.alarms import METRICS, alarms_of_benchmark

    rules = policy_in_force(policy)
    now = context.obj.clock.utc_now() if context.obj.clock is not None else utc_now()
    raised = []
    with RunStore.open(store_url(store)) as runs:
        stored = runs.benchmarks()
        for name in benchmark or stored:
            if name not in stored:
                known = sorted({*library(definitions).names(), *stored})
                raise UsageError(
                    f"no run of a benchmark {name!r} in this store{nearest(name, known)}"
                )
            records = runs.history(name, limit=limit)
            raised += alarms_of_benchmark(name, records, metric or METRICS, rules, now)
    if as_json:
        print_json(alarms_document(raised))
    else:
        print_alarms(raised, len(benchmark or stored))
    if any(alarm.state != "recovered" for alarm in raised):
        raise typer.Exit(EXIT_REGRESSION)
