"""What a worker can be told to do: prepare, run the pipeline, run the loop, calibrate, sample, …"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from beambench.credentials.masking import masked
from beambench.definition.entry_points import load
from beambench.definition.plan import (
    BenchmarkPlan,
    CalibratePlan,
    LoopPlan,
    PipelinePlan,
    Preparation,
    PreparedPlan,
    PreparePlan,
    ReferencePlan,
)
from beambench.definition.schema import Definition, Model
from beambench.inputs import files
from beambench.inputs.elements import written
from beambench.inputs.manifest import Manifest, resolve_input
from beambench.instrumentation.batch_limits import LIMITS, outside
from beambench.instrumentation.beam_metrics import counters_kind, measured, raw_metrics, theirs
from beambench.instrumentation.device import warnings_of
from beambench.instrumentation.empty_handler import gap_beside
from beambench.instrumentation.handler import InstrumentedModelHandler, set_framework_threads
from beambench.instrumentation.memory_log import MEMORY_LOG
from beambench.instrumentation.proof.output_sums import add_up
from beambench.instrumentation.recorder import PlanClock
from beambench.instrumentation.weights import check_size, size_of, weights_files
from beambench.machine import bytecode
from beambench.machine.environment import fingerprint
from beambench.machine.page_cache import cached_share
from beambench.record.observation import Histogram, Observation, Prepared, Proof
from beambench.worker import loop
from beambench.worker.beam_warnings import recorded_warnings
from beambench.worker.label_comparison import labels_follow_batches
from beambench.worker.labels import check_labels, class_check, truth_of
from beambench.worker.outputs import (
    classes_of,
    ids_of,
    observed,
    read_elements,
    read_predictions,
    sampled,
    with_two_greatest,
    written_rows,
)
from beambench.worker.sample import Budget, further_of, sample_of
from beambench.worker.torch_settings import torch_settings
from beambench.workloads.base import Weights, Workload
from beambench.workloads.output import Target
from beambench.workloads.pipeline import sinks
from beambench.workloads.pipeline.body import metrics_namespace
from beambench.workloads.pipeline.options import parse_flags
from beambench.workloads.pipeline.outputs import FinishedPipeline, Outputs
from beambench.workloads.pytorch.choices import BFLOAT16_INSTRUCTIONS
from beambench.workloads.registry import load_class, workload_entry


def prepare(plan: PreparePlan) -> Observation:
    """Make input and weights ready, choose the sample, and describe the environment."""
    definition = plan.definition
    parse_flags(plan.beam_flags)
    set_framework_threads(definition.threads)
    _keep_compiled_models(plan)
    manifest = resolve_input(
        definition.input.type,
        plan.source,
        limit=plan.limit,
        seed=plan.seed,
        cache_dir=Path(plan.cache_dir),
    )
    if plan.output is not None:
        sinks.check(Target.of(plan.output), overwrite=plan.overwrite)
    cls = load_class(definition.workload)
    folders, label_warnings = check_labels(cls, plan, manifest)
    entry = workload_entry(definition.workload)
    weights = cls.fetch_weights(definition, plan.seed, Path(plan.cache_dir))
    if weights.path is not None:
        check_size(str(weights.path), definition.model.size_mib)
    ids_file = Path(plan.work_dir) / "ids.txt"
    lines = written(manifest.ids, manifest.contents)
    ids_file.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    sample = sample_of(manifest.ids, plan.seed)
    preparation = Preparation(
        root=manifest.root if manifest.contents is None else None,
        ids_file=str(ids_file),
        count=len(manifest.ids),
        sample=sample,
        further_sample=further_of(manifest.ids, sample, plan.seed),
        weights_path=str(weights.path) if weights.path else None,
        choices=cls.choices(definition, weights, here=plan.runs_here),
        class_folders=folders,
    )
    environment = fingerprint(Path(plan.project_dir))
    return Observation(
        task=plan.task,
        prepared=Prepared(
            preparation=preparation.model_dump(),
            input_kind=manifest.kind,
            input_digest=manifest.digest,
            input_bytes=manifest.bytes,
            input_source=manifest.source,
            weights_digest=_digest(weights.path),
            weights_size=size_of(str(weights.path)) if weights.path else None,
            environment=environment
            | {"torch": torch_settings(), "workload": entry.distribution if entry else None},
            warnings=[
                *manifest.warnings,
                *input_warnings(cls, plan, manifest),
                *label_warnings,
                *cls.warnings(definition),
                *weights.notes,
                *(slow_precision(definition.model, environment) if plan.runs_here else ()),
                *of_processes(definition.runner.processes, environment),
                *(bytecode.warnings() if plan.runs_here else ()),
            ],
        ),
    )


def input_warnings(cls: type[Workload], plan: BenchmarkPlan, manifest: Manifest) -> list[str]:
    """Return what the workload says of the user's own files, under the name of their source."""
    if manifest.kind not in ("directory", "list", "file"):
        return []
    elements = manifest.contents if manifest.contents is not None else list(manifest.paths())
    return [f"{plan.source}: {text}" for text in cls.input_warnings(plan.definition, elements)]


def slow_precision(model: Model, environment: Mapping[str, Any]) -> list[str]:
    """Warn of a precision that the CPU has no instructions for."""
    if model.precision in ("float32", "auto") or model.device != "cpu":
        return []
    names = {
        "bfloat16": BFLOAT16_INSTRUCTIONS,
        "float16": ("amx_fp16", "avx512_fp16"),
    }
    instructions = environment["machine"]["instructions"]
    if any(instructions.get(name) for name in names[model.precision]):
        return []
    return [
        f"this CPU has no {model.precision} instructions ({', '.join(names[model.precision])}): "
        "expect it to be slower than float32"
    ]


def of_processes(processes: int, environment: Mapping[str, Any]) -> list[str]:
    """Say what several processes change besides their number."""
    if processes == 1:
        return []
    cores = environment["machine"]["cores"]["usable"]
    warnings = [f"{processes} processes on {cores} cores"] if processes > cores else []
    return [
        *warnings,
        f"{processes} processes: a Reshuffle spreads the elements over them, because Beam's direct "
        "runner gives one file to one of them",
    ]


def _digest(path: Path | str | None) -> str | None:
    """SHA-256 of a file; of a folder, over the names of its files and the SHA-256 of each.

    An object is read whole, however large: so does every load of the model.
    """
    if path is None:
        return None
    if isinstance(path, Path) and path.is_dir():
        parts = [f"{file.relative_to(path)}\0{_digest(file)}\n" for file in weights_files(path)]
        return hashlib.sha256("".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
    digest = hashlib.sha256()
    for chunk in files.chunks(str(path)):
        digest.update(chunk)
    return digest.hexdigest()


def make_workload(plan: PreparedPlan) -> Workload:
    """Make the workload of a plan and apply its thread setting."""
    _keep_compiled_models(plan)
    definition = plan.decided_definition()
    weights = Weights.at(plan.preparation.weights_path)
    if isinstance(weights.path, str):
        files.has_credentials()  # looked for now, and not while the model loads
    workload = load_class(definition.workload)(definition, weights)
    set_framework_threads(definition.threads)
    return workload


def cached_weights(workload: Workload) -> float | None:
    """Return the share of the weights in the page cache; None if unknown, as of an object's."""
    path = workload.weights.path
    return cached_share(weights_files(path)) if isinstance(path, Path) else None


def _keep_compiled_models(plan: BenchmarkPlan) -> None:
    """Let workers find the models that earlier ones compiled.

    Their usual place is the temporary folder, which ends with each worker: a model would be
    compiled anew, for a minute, by every one.
    """
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(Path(plan.cache_dir) / "torchinductor"))


def run_pipeline(plan: PipelinePlan) -> Observation:
    """Run the pipeline once, prove its work and read its metrics."""
    plan = placed(plan)
    workload = make_workload(plan)
    ids = ids_of(read_elements(plan))
    truth = truth_of(plan, ids)
    outputs = Outputs.within(plan.folder or plan.work_dir)
    for leftover in (outputs.proof, outputs.predictions):  # an earlier repeat's would prove nothing
        files.remove(leftover)
    target = Target.of(plan.output) if plan.output is not None else None
    if target is not None:
        sinks.clear(target)
    MEMORY_LOG.clear()
    cached = cached_weights(workload)
    with recorded_warnings() as beam_warnings:
        finished: FinishedPipeline = load(plan.pipeline_function)(workload, plan, outputs)
    beam_warnings.check_device(plan.definition.model.device)
    clock = PlanClock(plan.epoch_ns, plan.slot_us)
    end = clock.offset_us()
    memory = [*MEMORY_LOG.readings]
    proof = Proof.model_validate_json(files.read_bytes(outputs.proof))
    namespace = metrics_namespace(workload)
    rows = written_rows(target, proof) if target is not None else None
    observation = observed(plan, read_predictions(outputs.predictions), ids, proof, truth)
    numbers = measured(finished.query, proof.count, plan.slot_us, finished.threads)
    gap = gap_beside(numbers, partial(InstrumentedModelHandler, clock=clock))
    return observation.model_copy(
        update={
            "measured": numbers,
            "near_tie": workload.near_tie,
            "labels_follow_batches": labels_follow_batches(workload, numbers),
            "runner": {
                "executed": finished.executed,
                "implementation": finished.implementation,
                "counters": counters_kind(finished.query),
                "options": masked(finished.flags),
            },
            "beam_metrics": theirs(finished.query, namespace),
            "raw_metrics": raw_metrics(finished.query),
            "memory": memory,
            "latency_gap": gap,
            "weights_cached": cached,
            "output_rows": rows,
            "output_end": end if target is not None else None,
            "warnings": [
                *observation.warnings,
                *beam_warnings.texts,
                *off_request(plan.definition, numbers.batch_sizes),
                *warnings_of(workload.checked_device(), numbers.devices),
            ],
        }
    )


def placed(plan: PipelinePlan) -> PipelinePlan:
    """Return a plan whose output stays in its place if a handler changes the current folder."""
    if plan.output is None or not Target.of(plan.output).is_here:
        return plan
    return plan.model_copy(update={"output": str(Path(plan.output).absolute())})


def off_request(definition: Definition, sizes: Histogram) -> list[str]:
    """Say which limits of a definition's batching the batches did not keep to."""
    asked = definition.batching.model_dump(include=set(LIMITS), exclude_none=True)
    return [f"batching.{text}" for text in outside(asked, sizes)]


def run_loop(plan: LoopPlan) -> Observation:
    """Run the reference loop once over the whole input."""
    workload, elements = make_workload(plan), read_elements(plan)
    ids = ids_of(elements)
    truth, clock = truth_of(plan, ids), PlanClock(plan.epoch_ns, plan.slot_us)
    cached = cached_weights(workload)
    outputs, numbers = loop.run(workload, elements, plan.batch_sizes, clock)
    observation = observed(plan, outputs, ids, add_up(outputs), truth)
    return observation.model_copy(
        update={
            "measured": numbers,
            "weights_cached": cached,
            "near_tie": workload.near_tie,
            "labels_follow_batches": labels_follow_batches(workload, numbers),
        }
    )


def calibrate(plan: CalibratePlan) -> Observation:
    """Measure the loop at fixed batch sizes, to find that at which it is fastest."""
    workload, elements = make_workload(plan), read_elements(plan)
    limits = plan.definition.batching.max_batch_size, workload.largest_batch()
    rates = loop.batch_size_rates(workload, elements, loop.sizes_to_try(len(elements), *limits))
    return Observation(task=plan.task, batch_size_rates=rates)


def run_reference(plan: ReferencePlan) -> Observation:
    """Run the sample through the loop, one element at a time, for its labels and raw outputs."""
    workload, sample = make_workload(plan), plan.preparation.sample
    clock = PlanClock(plan.epoch_ns, plan.slot_us)
    by_id = {element.id: element for element in read_elements(plan)}
    wanted = [*sample, *(plan.preparation.further_sample if plan.repeats else ())]
    chosen = [by_id[element_id] for element_id in wanted]
    budget = Budget(len(sample), len(by_id), plan.repeats, lambda: clock.offset_us() / 1e6)
    check_classes = class_check(plan)
    every = frozenset(wanted)
    outputs, _ = loop.run(workload, chosen, [1], clock, every, budget.is_spent)
    check_classes(classes_of(outputs))
    return Observation(
        task=plan.task,
        sample=[sampled(output) for output in outputs[: len(sample)]],
        further=[with_two_greatest(sampled(output)) for output in outputs[len(sample) :]],
        near_tie=workload.near_tie,
        compares_outputs=workload.compares_outputs,
    )
