"""What the repeats of a run cost, where a service counted what they used."""

from __future__ import annotations

from functools import partial

from beambench.cost.prices.estimate import cost_of_job, gpu_of, machine_of
from beambench.cost.prices.sheet import Mode, Sheet
from beambench.cost.report import THOUSAND
from beambench.cost.request import CostRequest, chosen_sheet, is_job, mode_of, source_of
from beambench.definition.schema import Cluster
from beambench.errors import UsageError
from beambench.record.run_record import MetricValue, Repeat, RunRecord

COST = "cost_per_1000_elements"


def priced(record: RunRecord) -> RunRecord:
    """Return a run with `cost_per_1000_elements` among the metrics of its repeats.

    The price is that of `beambench cost` without options: of the sheet of the cluster's region. A
    repeat has none where the service did not count all that is billed, and no run of this machine
    has one.
    """
    if not is_job(record):
        return record
    request = CostRequest(what=record.run_id)
    try:
        source = source_of(record)
        sheet, mode = chosen_sheet(request, source), mode_of(request, source)
    except UsageError:  # nothing says where it ran, or no sheet is of that region
        return record
    if source.cluster is None:
        return record
    price = partial(_priced, cluster=source.cluster, mode=mode, sheet=sheet)
    return record.model_copy(update={"repeats": [price(repeat) for repeat in record.repeats]})


def _priced(repeat: Repeat, *, cluster: Cluster, mode: Mode, sheet: Sheet) -> Repeat:
    elements = repeat.verification.elements_in if repeat.verification is not None else None
    if repeat.usage is None or not elements:
        return repeat
    gpu, _ = gpu_of(cluster, machine_of(cluster, sheet))
    cost, _ = cost_of_job(repeat.usage, cluster, mode, sheet, gpu)
    if not cost.complete:
        return repeat
    value = MetricValue(
        value=float(cost.total / elements * THOUSAND),
        unit=cost.currency,
        direction="lower",
        n=elements,
    )
    return repeat.model_copy(update={"metrics": {**repeat.metrics, COST: value}})
