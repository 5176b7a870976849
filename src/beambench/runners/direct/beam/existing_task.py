"""The task of a worker that runs a pipeline that exists already."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import random
import re
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from beambench.definition.plan import ExistingPlan
from beambench.errors import BeambenchError, RunError, UsageError
from beambench.instrumentation.batch_limits import limits_of, outside, outside_flags, seen_sizes
from beambench.instrumentation.beam_metrics import (
    counters_kind,
    measured,
    of_step,
    raw_metrics,
    theirs,
)
from beambench.instrumentation.empty_handler import gap_beside
from beambench.instrumentation.existing.element_flow import flow_of
from beambench.instrumentation.existing.transparent import (
    TransparentModelHandler,
    has_model_per_key,
    innermost,
)
from beambench.instrumentation.ignored_settings import ignored_by, noted_settings
from beambench.instrumentation.memory_log import MEMORY_LOG
from beambench.instrumentation.recorder import PlanClock
from beambench.machine import bytecode
from beambench.record.observation import InferenceStep, LatencyGap, Measured, Observation
from beambench.runners.direct.beam import existing
from beambench.worker.beam_warnings import recorded_warnings
from beambench.worker.torch_settings import torch_settings
from beambench.worker.wrapped_errors import innermost as what_was_raised

NO_INFERENCE = "the pipeline has no RunInference: only the time and memory of the process are known"
NOTHING = "inferred nothing"
UNSEEN = "its batches were not seen: Beam takes no metrics from where they ran (use_subprocess)"
LONGEST_TEXT = 300
DEFERRED = (
    inspect.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
)
"""Kinds of functions whose body a call does not run."""


def run_existing(plan: ExistingPlan) -> Observation:
    """Run the user's function once and read the metrics of its pipeline."""
    MEMORY_LOG.clear()
    with recorded_warnings() as beam_warnings, noted_settings() as ignored, _command_line(plan):
        function = load_function(plan.pipeline)
        _seed(plan.seed)
        with _explained(plan.pipeline):
            done = existing.run(function, plan)
    query, threads = done.finished.query, done.finished.threads

    def numbers(entries: dict[str, list[Any]]) -> Measured:
        counted = measured(entries, 0, plan.slot_us, threads)
        inferred = counted.batch_size.sum if counted.batch_size is not None else 0
        return counted.model_copy(update={"elements": inferred})

    steps, warnings = {}, [*done.warnings, *beam_warnings.texts, *bytecode.warnings()]
    for name, transform in done.steps.items():
        handler = transform._model_handler
        own = of_step(query, name)
        namespace = transform._metrics_namespace or handler.get_metrics_namespace()
        inferred = numbers(own)
        steps[name] = InferenceStep(
            handler=", ".join(type(inner._inner).__name__ for inner in innermost(handler)),
            measured=inferred,
            beam_metrics=theirs(own, namespace),
            flow=flow_of(name, own, query, done.outlets[name], done.counts, inferred.elements),
        )
        if has_model_per_key(handler):
            warnings.append(
                f"{name}: has models for keys: our batch is one call of a model, with the elements "
                "of one key; Beam's are those of all keys of the model"
            )
    warnings += _off_request(plan, done, steps, list(ignored))
    if not steps:
        warnings.append(NO_INFERENCE)
    if len(steps) > 1:
        warnings.append(
            f"{len(steps)} RunInference steps ({', '.join(steps)}): elements, batches, latencies "
            "and model loads are those of all of them together; beam_metrics has each apart"
        )
    warnings += [
        f"{name}: {UNSEEN if step.flow is not None and step.flow.elements_out else NOTHING}"
        for name, step in steps.items()
        if not step.measured.elements
    ]
    return Observation(
        task=plan.task,
        measured=numbers(query),
        raw_metrics=raw_metrics(query),
        memory=[*MEMORY_LOG.readings],
        latency_gap=_gap_beside(numbers(query), plan),
        steps=steps,
        runner={
            "executed": done.finished.executed,
            "implementation": done.finished.implementation,
            "counters": counters_kind(query),
        },
        torch=torch_settings() if "torch" in sys.modules else None,
        warnings=warnings,
    )


def _gap_beside(inferred: Measured, plan: ExistingPlan) -> LatencyGap | None:
    clock = PlanClock(plan.epoch_ns, plan.slot_us)
    return gap_beside(inferred, partial(TransparentModelHandler, clock=clock))


def _off_request(
    plan: ExistingPlan,
    done: existing.FinishedExisting,
    steps: Mapping[str, InferenceStep],
    ignored: Sequence[str],
) -> list[str]:
    """Say which settings of batches nothing read, and which were not met, beside what was seen."""
    said, asked, sizes = [], dict[str, int](), Counter[int]()
    for name, transform in done.steps.items():
        seen = steps[name].measured.batch_sizes
        sizes.update(seen)
        if not has_model_per_key(transform._model_handler):
            limits = limits_of(transform._model_handler)
            asked |= {f"{name}.{limit}": value for limit, value in limits.items()}
            said += [f"{name}: {text}" for text in outside(limits, seen)]
        said += [
            f"{name}: nothing reads {setting}: {seen_sizes(seen)}"
            for setting in ignored_by(transform)
        ]
    said += [f"nothing reads {setting}: {seen_sizes(sizes)}" for setting in ignored]
    return said + outside_flags(plan.argv, asked, sizes)


def load_function(pipeline: str) -> Callable[..., Any]:
    """Return the function of ``module:function``.

    Raises:
        UsageError: it cannot be imported or called, or does not take `argv` and `test_pipeline`.
    """
    module_name, _, name = pipeline.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--pipeline {pipeline}: no module {error.name!r}: is it installed, or its folder on "
            "PYTHONPATH?"
        ) from None
    except (Exception, SystemExit) as error:  # whatever a user's own module does wrong
        text = f"{type(error).__name__}: {error}"[:LONGEST_TEXT]
        raise UsageError(f"--pipeline {pipeline}: cannot be imported: {text}") from error
    function = getattr(module, name, None)
    if function is None:
        raise UsageError(f"--pipeline {pipeline}: {module_name} has no function {name!r}")
    try:
        signature = inspect.signature(function)
        signature.bind(argv=[], test_pipeline=None)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"--pipeline {pipeline}: cannot be called as {name}(argv=…, test_pipeline=…): {error}"
        ) from None
    if any(is_kind(function) for is_kind in DEFERRED):
        raise UsageError(
            f"--pipeline {pipeline}: is a coroutine or a generator, which does nothing when it is "
            "called: name a plain function"
        )
    return function  # type: ignore[no-any-return]


@contextlib.contextmanager
def _command_line(plan: ExistingPlan) -> Iterator[None]:
    """Give a function that reads ``sys.argv`` its flags there, in place of those of the worker."""
    before = sys.argv
    sys.argv = [plan.pipeline.partition(":")[0], *plan.argv]
    try:
        yield
    finally:
        sys.argv = before


def _seed(seed: int) -> None:
    """Seed what a pipeline draws from; Beam's batching draws from `random`."""
    import numpy as np

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)


@contextlib.contextmanager
def _explained(pipeline: str) -> Iterator[None]:
    """Say what went wrong in a user's function, and where in their file."""
    said = _Tee()
    try:
        with contextlib.redirect_stderr(said):
            yield
    except BeambenchError:
        raise
    except SystemExit as error:
        # argparse says on stderr what is wrong, and exits with a number.
        reason = error.code if isinstance(error.code, str) else said.last_line()
        reason = reason or f"ended with SystemExit({error.code}) before its pipeline was run"
        raise UsageError(f"{pipeline}: {reason}") from None
    except Exception as error:
        name, text = what_was_raised(type(error).__name__, str(error))
        text = " ".join(text.split())[:LONGEST_TEXT]
        file = getattr(sys.modules[pipeline.partition(":")[0]], "__file__", None)
        where = _place(file or "", "".join(traceback.format_exception(error)))
        raise RunError(f"{pipeline}: {name}{f': {text}' if text else ''}{where}") from error


def _place(file: str, text: str) -> str:
    """Return the last line of the user's file that a traceback names, nearest to the error."""
    lines = re.findall(rf'File "{re.escape(file)}", line (\d+)', text)
    return f" ({file}:{lines[-1]})" if lines else ""


class _Tee(io.TextIOBase):
    """Writes on to stderr and keeps what was written last."""

    def __init__(self) -> None:
        self._onward, self._last = sys.stderr, ""

    def write(self, text: str) -> int:
        self._last = (self._last + text)[-4096:]
        return self._onward.write(text)

    def flush(self) -> None:
        self._onward.flush()

    def fileno(self) -> int:
        return self._onward.fileno()

    def last_line(self) -> str:
        """Return the last line, without the name of the program that argparse begins it with."""
        lines = [line for line in self._last.splitlines() if line.strip()]
        return lines[-1].rpartition(": error: ")[2].strip() if lines else ""
