"""Wrappers that measure: the innermost model handler, and its pre- and postprocessing.

The handler forwards every public method of Beam's `ModelHandler`: an inherited default, such as
that of `share_model_across_processes`, would silently change the run. A test enumerates them.
"""

from __future__ import annotations

import contextlib
import functools
import json
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from apache_beam.ml.inference.base import ModelHandler, PredictionResult, RemoteModelHandler

from beambench.errors import UsageError
from beambench.inputs.files import has_credentials, is_address
from beambench.instrumentation.device import check_device, counter_of, device_of, synchronise
from beambench.instrumentation.failures import ElementFailure, failure, miscounted, one_by_one
from beambench.instrumentation.memory_log import MEMORY_LOG
from beambench.instrumentation.recorder import BatchRecorder, CpuOf, Load, PlanClock
from beambench.instrumentation.request_times import ReportsRequestTimes
from beambench.instrumentation.stage_cpu import inference_cpu
from beambench.instrumentation.weights import check_size
from beambench.record.run_record import ModelRuns

PENDING_LOADS: dict[str, list[Load]] = {}
"""Loads not yet written, by handler. Where threads share a model, a copy of the handler that
did not load it may run the first batch, and the copy that did may never run one."""

LOAD_FILE = "beambench-load-{handler}-{load}"
"""Where processes share a model, one that never runs a batch loads it and says so in a file."""


def set_framework_threads(threads: int | None) -> None:
    """Set the threads inside one operation of the framework; None leaves its default."""
    if threads is None:
        return
    try:
        import torch
    except ImportError:
        raise UsageError("threads: sets those of torch, which is not installed") from None
    torch.set_num_threads(threads)


class InstrumentedModelHandler(ModelHandler[Any, Any, Any]):
    """Measures the handler inside it, and runs a failed batch again one element at a time."""

    def __init__(
        self,
        inner: ModelHandler[Any, Any, Any],
        clock: PlanClock,
        *,
        weights_path: str | None = None,
        size_mib: float | None = None,
        device: str | None = None,
        by_key: bool = False,
        model_runs: ModelRuns = "in_worker",
        threads: int | None = None,
    ) -> None:
        """Wrap a handler.

        Args:
            inner: the handler.
            clock: of the plan.
            weights_path: of the weights, None if there are none.
            size_mib: what they must have on disk; None: any size.
            device: `cpu` or `gpu`, where the model must be after its load; None: anywhere.
            by_key: it is one of several, among which Beam chooses by key.
            model_runs: where its model computes.
            threads: of torch inside one operation; None: its default.
        """
        self._inner = inner
        self._by_key = by_key
        self._model_runs = model_runs
        self._env_vars = getattr(inner, "_env_vars", {})  # Beam's own wrappers copy it too
        self._clock = clock
        self._weights_path = weights_path
        self._size_mib = size_mib
        self._device = device
        self._threads = threads
        self._identity = uuid.uuid4().hex
        self._recorder: BatchRecorder | None = None
        self._inference_cpu: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_recorder": None, "_inference_cpu": None}

    @property
    def _loads_elsewhere(self) -> bool:
        """Whether another process may load the model; Beam shares all models of a keyed handler."""
        return self._by_key or self.share_model_across_processes()

    @property
    def _pending_loads(self) -> list[Load]:
        return PENDING_LOADS.setdefault(self._identity, [])

    def load_model(self) -> Any:
        if self._weights_path is not None:
            check_size(self._weights_path, self._size_mib)
            if is_address(self._weights_path):
                has_credentials()  # looked for now, and not while the model loads
        set_framework_threads(self._threads)  # of the process that it runs in, whichever it is
        start = time.perf_counter_ns()
        model = self._inner.load_model()
        synchronise()
        duration_us = (time.perf_counter_ns() - start) // 1000
        device = device_of(model)
        check_device(self._device, device)
        load = Load(
            duration_us,
            getattr(model, "server_start_us", None),
            counter_of(device),
            self._clock.offset_us(),
        )
        if self._loads_elsewhere:
            name = LOAD_FILE.format(handler=self._identity, load=uuid.uuid4().hex)
            (Path(tempfile.gettempdir()) / name).write_text(json.dumps(load))
        else:
            self._pending_loads.append(load)
        return model

    def _collect_loads(self) -> None:
        """Take over load times that another process left; the first batch of any gets each."""
        pattern = LOAD_FILE.format(handler=self._identity, load="*")
        for left in Path(tempfile.gettempdir()).glob(pattern):
            mine = left.with_name(f"taken-{uuid.uuid4().hex}")
            with contextlib.suppress(OSError):  # another process took it
                left.rename(mine)
                self._pending_loads.append(Load(*json.loads(mine.read_text())))
                mine.unlink()

    def _recording(self) -> BatchRecorder:
        """Return the recorder, made before the first batch, with all loads not yet written."""
        if self._recorder is None:
            cpu_of = self._cpu_of()
            self._recorder = BatchRecorder(self._clock, cpu_of)
            if cpu_of == "process":
                self._inference_cpu = inference_cpu()
            if self._loads_elsewhere:  # and then before the first batch of any process
                self._collect_loads()
        self._recorder.loads(self._pending_loads)
        return self._recorder

    def _cpu_of(self) -> CpuOf:
        if self._model_runs == "elsewhere" or isinstance(self._inner, RemoteModelHandler):
            return "unknown"
        in_tree = self._model_runs == "server" or self._loads_elsewhere
        return "tree" if in_tree else "process"

    def run_inference(
        self,
        batch: Sequence[Any],
        model: Any,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[Any]:
        recorder = self._recording()
        good = [example for example in batch if type(example) is not ElementFailure]
        MEMORY_LOG.before_batch(len(batch))
        synchronise()
        cpu_start = time.process_time_ns()
        start_us, start = self._clock.offset_us(), time.perf_counter_ns()
        launch_ns, cause = None, None
        computed = None if len(good) == len(batch) else [len(good)] if good else []
        try:
            # A list of its own: a handler may empty or sort it, as it may the one that Beam gives.
            predictions = self._inner.run_inference([*good], model, inference_args) if good else []
            results = list(predictions)  # a lazy result would be computed after the clock stopped
            returned = time.perf_counter_ns()
            launch_ns = returned - start if synchronise() else None
        except Exception as error:
            cause = failure("inference", error).error
            results, computed = self._one_by_one(good, model, inference_args)
        duration = time.perf_counter_ns() - start
        cpu_ns = time.process_time_ns() - cpu_start
        if len(results) > len(good):  # Beam would drop the last; too few are caught by the proof
            raise miscounted(results, good)
        recorder.batch(
            len(batch), start_us, duration, launch_ns, computed=computed, retry_cause=cause
        )
        if self._inference_cpu is not None:
            self._inference_cpu.inc(cpu_ns)
        if isinstance(self._inner, ReportsRequestTimes):
            told = self._inner.request_times(model)
            if told is not None:
                recorder.requests(*told)
        return results if len(good) == len(batch) else _with_failures(batch, results)

    def _one_by_one(
        self, batch: Sequence[Any], model: Any, inference_args: dict[str, Any] | None
    ) -> tuple[list[Any], list[int]]:
        def infer(examples: Sequence[Any]) -> list[Any]:
            results = list(self._inner.run_inference(examples, model, inference_args))
            synchronise()
            return results

        return one_by_one(infer, batch)

    def get_num_bytes(self, batch: Sequence[Any]) -> int:
        good = [example for example in batch if type(example) is not ElementFailure]
        return self._inner.get_num_bytes(good) if good else 0

    def get_metrics_namespace(self) -> str:
        return str(self._inner.get_metrics_namespace())

    def get_resource_hints(self) -> dict[str, Any]:
        return dict(self._inner.get_resource_hints())

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        kwargs: dict[str, Any] = dict(self._inner.batch_elements_kwargs())
        if "length_fn" in kwargs:
            kwargs["length_fn"] = functools.partial(_length, kwargs["length_fn"])
        return kwargs

    def validate_inference_args(self, inference_args: dict[str, Any] | None) -> None:
        self._inner.validate_inference_args(inference_args)

    def update_model_path(self, model_path: str | None = None) -> None:
        self._inner.update_model_path(model_path=model_path)

    def update_model_paths(self, model: Any, model_paths: Any = None) -> None:
        self._inner.update_model_paths(model, model_paths)

    def get_preprocess_fns(self) -> Iterable[Callable[[Any], Any]]:
        return list(self._inner.get_preprocess_fns())

    def get_postprocess_fns(self) -> Iterable[Callable[[Any], Any]]:
        return list(self._inner.get_postprocess_fns())

    def should_skip_batching(self) -> bool:
        return bool(self._inner.should_skip_batching())

    def set_environment_vars(self) -> None:
        self._inner.set_environment_vars()

    def share_model_across_processes(self) -> bool:
        return bool(self._inner.share_model_across_processes())

    def model_copies(self) -> int:
        return int(self._inner.model_copies())

    def override_metrics(self, metrics_namespace: str = "") -> bool:
        return bool(self._inner.override_metrics(metrics_namespace))

    def should_garbage_collect_on_timeout(self) -> bool:
        return bool(self._inner.should_garbage_collect_on_timeout())


def _with_failures(batch: Sequence[Any], results: Sequence[Any]) -> list[Any]:
    """Put the elements that failed before inference back at their places among the results.

    Where results are missing the rest is left out: a failure must not go to another's place.
    """
    merged, remaining = [], iter(results)
    for example in batch:
        if type(example) is ElementFailure:
            merged.append(PredictionResult(None, example))
            continue
        try:
            merged.append(next(remaining))
        except StopIteration:
            break
    return merged


def _length(of_keyed: Callable[[Any], int], keyed: tuple[str, Any]) -> int:
    """Return the length by which an element is batched; one that failed has none."""
    return 0 if type(keyed[1]) is ElementFailure else of_keyed(keyed)
