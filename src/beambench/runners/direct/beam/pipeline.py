"""The direct runner: Beam's FnApiRunner, in this process, chosen explicitly.

Beam's own `DirectRunner` picks Prism, FnApiRunner or BundleBasedDirectRunner by what the pipeline
holds and what is installed. Here nothing is picked: the class is named, and verified afterwards.
"""

from __future__ import annotations

from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.portable_runner import JobServiceHandle

from beambench.definition.plan import PipelinePlan
from beambench.errors import RunError
from beambench.instrumentation.recorder import Progress
from beambench.runners.direct.runner import DIRECT
from beambench.workloads.base import Workload
from beambench.workloads.pipeline.assembly import batch_parts, build
from beambench.workloads.pipeline.options import parse_flags
from beambench.workloads.pipeline.outputs import FinishedPipeline, Outputs

IN_PROCESS = "in_memory"
PROCESSES = "multi_processing"


def is_in_process(flags: list[str]) -> bool:
    """Tell whether the pipeline will run in this process; raises UsageError for unknown flags."""
    mode = parse_flags(flags).view_as(DirectOptions).direct_running_mode
    return (mode or IN_PROCESS) == IN_PROCESS


def flags_of(plan: PipelinePlan) -> list[str]:
    """Return the user's Beam flags and those that several processes need."""
    processes = plan.definition.runner.processes
    if processes == 1:
        return plan.beam_flags
    own = [f"--direct_num_workers={processes}", f"--direct_running_mode={PROCESSES}"]
    return [*plan.beam_flags, *own]


def run(workload: Workload, plan: PipelinePlan, outputs: Outputs) -> FinishedPipeline:
    """Run the pipeline to its end.

    Raises:
        RunError: another runner than FnApiRunner ran, or it ran elsewhere than in this process.
    """
    flags = flags_of(plan)
    options = parse_flags(flags)
    pipeline = beam.Pipeline(runner=make_runner(options), options=options)
    build(pipeline, workload, plan, batch_parts(plan, outputs))
    batches_before = Progress.batches
    finished = wait_for(pipeline.run(), options, flags)
    if is_in_process(flags) and Progress.batches == batches_before and plan.preparation.count:
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


def wait_for(result: Any, options: PipelineOptions, flags: list[str]) -> FinishedPipeline:
    """Wait for the end of a pipeline that was run.

    Raises:
        RunError: another runner than FnApiRunner ran it.
    """
    result.wait_until_finish()
    if not isinstance(result, fn_runner.RunnerResult):
        raise RunError(f"the pipeline was run by {type(result).__module__}, not by FnApiRunner")
    chosen = options.view_as(DirectOptions)
    mode = chosen.direct_running_mode or IN_PROCESS
    return FinishedPipeline(
        query=result.metrics().query(),
        executed=DIRECT.name,
        implementation=f"{fn_runner.FnApiRunner.__name__}, {mode}",
        threads=1 if chosen.direct_num_workers == 1 else None,
        flags=flags,
    )
