"""`beambench cost`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beambench.cli.settings import DefinitionsOption, JsonOption, StoreOption, library, store_url
from beambench.errors import UsageError

if TYPE_CHECKING:
    from beambench.cost.assumption import Range

FACTOR = "X|LOW:X:HIGH"
LEAST, MOST = 1e-6, 10**6
"""Machines, seconds until a worker can start, or times that something is faster."""

MachineTypeOption = Annotated[
    str | None, typer.Option(help="Machine type; none: the definition's.")
]
WorkersOption = Annotated[
    int | None, typer.Option(min=1, max=MOST, help="Machines; none: the definition's.")
]
ProcessesOption = Annotated[
    int | None,
    typer.Option(min=1, max=4096, help="Processes on each machine; none: one for each vCPU."),
]
GpuOption = Annotated[
    str | None, typer.Option(metavar="TYPE", help="Type of GPU, or none for CPUs only.")
]
ElementsOption = Annotated[
    int | None,
    typer.Option(min=1, max=MOST**2, help="Elements; none: those of the full profile."),
]
SheetOption = Annotated[Path | None, typer.Option(metavar="PATH", help="Price sheet of your own.")]
ScaleOption = Annotated[
    str | None,
    typer.Option(metavar=FACTOR, help="Speed of a process there / its speed in the run."),
]
EfficiencyOption = Annotated[
    str | None,
    typer.Option(metavar=FACTOR, help="Speed of a process among all of a machine / alone."),
]
StragglersOption = Annotated[
    str | None, typer.Option(metavar=FACTOR, help="Time of the last worker / mean time.")
]
WorkerStartOption = Annotated[
    str | None, typer.Option(metavar=FACTOR, help="Seconds until a worker can start.")
]


def cost(
    what: Annotated[str, typer.Argument(metavar="NAME|RUN", help="A benchmark, or a stored run.")],
    machine_type: MachineTypeOption = None,
    workers: WorkersOption = None,
    processes: ProcessesOption = None,
    gpu: GpuOption = None,
    region: Annotated[str | None, typer.Option(help="Region; none: the definition's.")] = None,
    spot: Annotated[
        bool, typer.Option("--spot", help="Workers that may be taken away (FlexRS).")
    ] = False,
    elements: ElementsOption = None,
    sheet: SheetOption = None,
    scale: ScaleOption = None,
    parallel_efficiency: EfficiencyOption = None,
    stragglers: StragglersOption = None,
    worker_start: WorkerStartOption = None,
    variant: Annotated[
        str,
        typer.Option(envvar="BEAMBENCH_VARIANT", help="Of the run, if a benchmark is named."),
    ] = "stock",
    store: StoreOption = None,
    definitions: DefinitionsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Price a run: what a job on Dataflow used, or a local run projected to a cluster."""
    from beambench.cost.request import CostRequest
    from beambench.experiments.cost import price_run
    from beambench.presentation.costs import print_cost
    from beambench.presentation.values import print_json
    from beambench.store.run_store import RunStore

    request = CostRequest(
        what=what,
        variant=variant,
        machine_type=machine_type,
        workers=workers,
        processes=processes,
        gpu=gpu,
        region=region,
        spot=spot,
        elements=elements,
        sheet=sheet,
        scale=_factor("--scale", scale, least=LEAST),
        parallel_efficiency=_factor(
            "--parallel-efficiency", parallel_efficiency, least=LEAST, most=1
        ),
        stragglers=_factor("--stragglers", stragglers, least=1),
        worker_start=_factor("--worker-start", worker_start),
    )
    with RunStore.open(store_url(store)) as runs:
        report = price_run(request, library(definitions), runs)
    print_json(report.model_dump(mode="json")) if as_json else print_cost(report)


def _factor(option: str, text: str | None, *, least: float = 0, most: float = MOST) -> Range | None:
    """Read one number, or three: low, expected, high."""
    from beambench.cost.assumption import Range

    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(":")]
        low, expected, high = numbers * 3 if len(numbers) == 1 else numbers
        factor = Range.of(low, expected, high)
    except ValueError:  # pydantic's too
        factor = None
    if factor is None or factor.low < least or factor.high > most:
        raise UsageError(
            f"{option} {text}: expected a number from {least:g} to {most:g}, or low:expected:high "
            "that rise"
        )
    return factor
