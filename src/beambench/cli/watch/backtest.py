"""`beambench backtest`."""

from __future__ import annotations

from typing import Annotated

import typer

from beambench.cli.settings import JsonOption, StoreOption, store_url
from beambench.cli.watch.settings import PolicyOption, policy_in_force
from beambench.errors import UsageError, nearest

THRESHOLDS = (3.2, 3.4, 3.7, 4.0)
"""Alternatives that are tried beside the policy in force."""


def backtest(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A benchmark with stored runs.")],
    metric: Annotated[
        str, typer.Option(metavar="M", help="Which metric: see `beambench metrics`.")
    ] = "throughput_elements",
    every: Annotated[
        float, typer.Option(metavar="DAYS", help="Days between runs, for false alarms a year.")
    ] = 1.0,
    repetitions: Annotated[int, typer.Option(min=10, help="Histories of noise, and a step.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the random order.")] = 1,
    policy: PolicyOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what the alarm policy, and others, would have done with the history of a benchmark."""
    from dataclasses import replace

    from beambench.presentation.alarms import backtest_document, print_backtests
    from beambench.presentation.values import print_json
    from beambench.store.run_store import RunStore
    from beambench.watch.backtest import LEAST_NOISE, noise_of, runs_a_year
    from beambench.watch.backtest import backtest as tried
    from beambench.watch.series import series_of_runs

    rules = policy_in_force(policy)
    try:
        yearly = runs_a_year(every)
    except ValueError as error:
        raise UsageError(f"--every: {error}") from None
    with RunStore.open(store_url(store)) as runs:
        records, stored = runs.history_runs(name), runs.benchmarks()
    if not records:
        raise UsageError(f"no run of a benchmark {name!r} in this store{nearest(name, stored)}")
    longest = next(iter(series_of_runs(records, metric)[0]), None)
    values = [point.value for point in longest.points] if longest else []
    groups = [point.group for point in longest.points] if longest else []
    noise = noise_of(values, groups) if values else None
    if longest is None or noise is None:
        raise UsageError(
            f"{name}, {metric}: {len(values)} runs, and no {LEAST_NOISE} of one machine without a "
            "change: too few to tell noise from"
        )
    others = [
        replace(rules, threshold=each, settled_threshold=max(each, rules.settled_threshold))
        for each in THRESHOLDS
        if each != rules.threshold
    ]
    results = [
        tried(values, groups, noise, each, repetitions=repetitions, seed=seed)
        for each in (rules, *others)
    ]
    if as_json:
        print_json(backtest_document(name, longest, results, yearly))
    else:
        print_backtests(name, longest, results, yearly)
