"""The direct runner: Beam's FnApiRunner, in this process, chosen explicitly.

Beam's own `DirectRunner` picks Prism, FnApiRunner or BundleBasedDirectRunner by what the pipeline
holds and what is installed. Here nothing is picked: the class is named, and verified afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.portable_runner import JobServiceHandle

from beambench.definition.plan import Plan
from beambench.errors import RunError, UsageError, nearest
from beambench.instrumentation.recorder import Progress
from beambench.runners.flags_read import beam_parser
from beambench.workloads.base import Workload
from beambench.workloads.pipeline import Outputs, build

IN_PROCESS = "in_memory"
PROCESSES = "multi_processing"


def parse_flags(flags: list[str]) -> PipelineOptions:
    """Parse Beam flags.

    Raises:
        UsageError: a flag that Beam does not know, or that chooses a runner.
    """
    options = parsed(flags)
    parser = beam_parser()
    _, unknown = parser.parse_known_args(flags)
    if unknown:
        known = sorted(parser._option_string_actions)
        flag = unknown[0].partition("=")[0]
        raise UsageError(f"Beam 2.77 has no flag {flag}{nearest(flag, known)}")
    return options


def is_in_process(flags: list[str]) -> bool:
    """Tell whether the pipeline will run in this process; raises UsageError for unknown flags."""
    mode = parse_flags(flags).view_as(DirectOptions).direct_running_mode
    return (mode or IN_PROCESS) == IN_PROCESS


def parsed(flags: list[str]) -> PipelineOptions:
    """Parse the flags that Beam knows.

    Raises:
        UsageError: a value that Beam does not take, or a flag that chooses a runner.
    """
    try:
        options = PipelineOptions(flags)
        options.get_all_options()
    except (SystemExit, ValueError) as error:
        reason = "a value is missing or of the wrong type"
        detail = str(error) if isinstance(error, ValueError) else reason
        raise UsageError(f"Beam flags {' '.join(flags)!r}: {detail}") from None
    if options.view_as(StandardOptions).runner:
        raise UsageError("--runner after --: choose the runner with beambench's own --runner")
    return options


def flags_of(plan: Plan) -> list[str]:
    """Return the user's Beam flags and those that several processes need."""
    processes = plan.definition.runner.processes
    if processes == 1:
        return plan.beam_flags
    own = [f"--direct_num_workers={processes}", f"--direct_running_mode={PROCESSES}"]
    return [*plan.beam_flags, *own]


@dataclass(frozen=True)
class Finished:
    """A pipeline that ran to its end.

    Attributes:
        query: answer of ``result.metrics().query()``.
        implementation: class that ran it, and its running mode.
        threads: threads that worked on it, if only one could; else None.
    """

    query: dict[str, list[Any]]
    implementation: str
    threads: int | None


def run(workload: Workload, plan: Plan, outputs: Outputs) -> Finished:
    """Run the pipeline to its end.

    Raises:
        RunError: another runner than FnApiRunner ran, or it ran elsewhere than in this process.
    """
    flags = flags_of(plan)
    options = parse_flags(flags)
    pipeline = beam.Pipeline(runner=make_runner(options), options=options)
    build(pipeline, workload, plan, outputs)
    batches_before = Progress.batches
    finished = wait_for(pipeline.run(), options)
    if is_in_process(flags) and Progress.batches == batches_before and plan.prepared().count:
        raise RunError("no batch was inferred in this process: another runner did the work")
    return finished


class KeepingRunner(fn_runner.FnApiRunner):
    """FnApiRunner, which keeps the pipeline as it ran it: its counts name parts of that."""

    proto: Any = None

    def run_via_runner_api(self, pipeline_proto: Any, options: PipelineOptions) -> Any:
        self.proto = pipeline_proto
        return super().run_via_runner_api(pipeline_proto, options)


def make_runner(options: PipelineOptions) -> KeepingRunner:
    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    provision = fn_runner.ExtendedProvisionInfo(
        beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded)
    )
    return KeepingRunner(provision_info=provision)


def wait_for(result: Any, options: PipelineOptions) -> Finished:
    """Wait for the end of a pipeline that was run.

    Raises:
        RunError: another runner than FnApiRunner ran it.
    """
    result.wait_until_finish()
    if not isinstance(result, fn_runner.RunnerResult):
        raise RunError(f"the pipeline was run by {type(result).__module__}, not by FnApiRunner")
    chosen = options.view_as(DirectOptions)
    mode = chosen.direct_running_mode or IN_PROCESS
    return Finished(
        query=result.metrics().query(),
        implementation=f"{fn_runner.FnApiRunner.__name__}, {mode}",
        threads=1 if chosen.direct_num_workers == 1 else None,
    )
