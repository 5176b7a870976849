"""`beambench baseline`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from beambench.cli.settings import JsonOption, StoreOption, store_url
from beambench.errors import UsageError, nearest

if TYPE_CHECKING:
    from beambench.record.baseline import Baseline
    from beambench.store.run_store import RunStore
    from beambench.watch.series import HistoricRun

Action = Literal["save", "list", "show", "rm"]


def baseline(
    context: typer.Context,
    action: Annotated[Action, typer.Argument(help="save, list, show or rm.")],
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Of the baseline.", show_default=False)
    ] = None,
    run: Annotated[
        list[str] | None, typer.Argument(metavar="RUN...", help="With save: its runs.")
    ] = None,
    benchmark: Annotated[
        str | None,
        typer.Option(metavar="B", help="With save and --last: runs of this benchmark."),
    ] = None,
    last: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="With save: the newest N runs.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="With save: in the place of one of that name.")
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep sets of runs that `beambench check` measures later ones against."""
    from beambench.clock import utc_now
    from beambench.presentation.baselines import print_baselines
    from beambench.presentation.values import print_json
    from beambench.store.run_store import RunStore
    from beambench.watch.baselines import make_baseline

    if action == "list":
        if name is not None:
            raise UsageError(f"baseline list {name}: takes no name: write `baseline show {name}`")
    elif name is None:
        raise UsageError(f"baseline {action}: give the NAME of a baseline")
    with RunStore.open(store_url(store)) as runs:
        if action == "save":
            chosen = _chosen(runs, run or [], benchmark, last)
            now = context.obj.clock.utc_now() if context.obj.clock is not None else utc_now()
            shown = [make_baseline(str(name), chosen, now)]
            runs.baselines.add(shown[0], replace=replace)
        elif action == "list":
            shown = runs.baselines.all()
        else:
            shown = [named(runs, str(name))]
            if action == "rm":
                runs.baselines.remove(str(name))
    if as_json:
        documents = [each.model_dump(mode="json") for each in shown]
        print_json(documents if action == "list" else documents[0])
    else:
        print_baselines(action, shown)


def named(runs: RunStore, name: str) -> Baseline:
    """Return a stored baseline. Raises UsageError, which names the nearest one, without it."""
    stored = runs.baselines.get(name)
    if stored is None:
        known = [each.name for each in runs.baselines.all()]
        raise UsageError(
            f"no baseline {name!r} in this store{nearest(name, known)}: `beambench baseline list` "
            "shows all"
        )
    return stored


def _chosen(
    runs: RunStore, ids: list[str], benchmark: str | None, last: int | None
) -> Sequence[HistoricRun]:
    """Return the runs of a new baseline: those named, or the newest fit ones of a benchmark."""
    from beambench.experiments.publishing import runs_named
    from beambench.watch.series import kind_of, unfit

    if bool(ids) == bool(last) or bool(last) != bool(benchmark):
        raise UsageError("baseline save: give RUN RUN RUN, or --benchmark B with --last N")
    if ids:
        return runs_named(runs, ids)
    fit = [run for run in runs.history_runs(str(benchmark)) if unfit(run) is None]
    return [run for run in fit if kind_of(run) == kind_of(fit[0])][:last]
