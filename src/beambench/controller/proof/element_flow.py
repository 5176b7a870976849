"""What became of the elements of each RunInference of a pipeline that exists already."""

from __future__ import annotations

from collections.abc import Mapping

from beambench.record.run_record import ElementFlow

Flows = Mapping[str, ElementFlow]


def described(name: str, flow: ElementFlow) -> str:
    """Return the counts of a RunInference as one line."""
    into, out = (
        "unknown" if count is None else str(count)
        for count in (flow.elements_in, flow.elements_out)
    )
    return f"RunInference {name}: {into} in, {out} out, {flow.elements_failed} failed"


def problem_of(flows: Flows, max_failed: float) -> str | None:
    """Return why a repeat that ran to its end did not do its work, or None."""
    for name, flow in flows.items():
        said = described(name, flow)
        if flow.missing:
            return (
                f"{said}: {flow.missing} lost, neither out nor failed: a handler gives one result "
                "for each element of its batch"
            )
        if flow.surplus:
            return (
                f"{said}: {flow.surplus} results more than elements: a handler gives one result "
                "for each element of its batch"
            )
        if not flow.elements_failed:
            continue
        causes = f" ({flow.causes[0]})" if flow.causes else ""
        if not flow.elements_out:
            return f"{said}: none came out{causes}"
        if flow.elements_in and flow.elements_failed / flow.elements_in > max_failed:
            return f"{said}: more than max_failed {max_failed:g}{causes}: see --max-failed"
    return None


def warnings_of_flows(where: str, flows: Flows) -> list[str]:
    """Say which elements failed, where so many may."""
    return [
        f"{where}: {described(name, flow)}{f' ({flow.causes[0]})' if flow.causes else ''}"
        for name, flow in flows.items()
        if flow.elements_failed
    ]
