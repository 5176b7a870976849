"""What `model.precision: auto` comes to, and whether compiling a model pays: decided and explained.

Both are measured where the model runs, because names of CPU features say too little: a library may
not use one, and a virtual machine may hide one. The workers of a cluster cannot be measured before
they are there, so for them the machine type decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from beambench.cost.prices.sheet import machine_types
from beambench.definition.schema import Definition
from beambench.instrumentation.device import synchronise
from beambench.record.run_record import Choice
from beambench.workloads.pytorch.models import reason

if TYPE_CHECKING:
    import torch

    from beambench.workloads.pytorch.handlers import Optimisation

PRODUCT = (512, 768, 3072)
"""Rows, inputs and outputs of the product that is timed: a layer of BERT-base over 512 tokens."""

ROUNDS = 5
"""Rounds of the product in either type, in turns; the fastest counts, since noise only slows."""

LEAST_GAIN = 1.25
"""How much faster bfloat16 must be. With instructions for it the gain is 2 or more, without it is
a loss of 3 or more, so that no noise decides."""

BFLOAT16_INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "bf16")

GPU_TYPES = {
    "nvidia-tesla-k80": "float32",
    "nvidia-tesla-p4": "float32",
    "nvidia-tesla-p100": "float16",
    "nvidia-tesla-v100": "float16",
    "nvidia-tesla-t4": "float16",
}
"""Accelerators of Dataflow without bfloat16, by NVIDIA's table of compute capabilities (below 8.0);
every later one multiplies bfloat16 in tensor cores."""


def precision_choices(definition: Definition, *, here: bool) -> list[Choice]:
    """Return what `model.precision: auto` comes to; nothing if the definition names a type."""
    if definition.model.precision != "auto":
        return []
    on_gpu = definition.model.device == "gpu"
    if here:
        value, why = _of_this_gpu() if on_gpu else _of_this_cpu()
    else:
        value, why = _of_accelerator(definition) if on_gpu else _of_machine_type(definition)
    return [Choice(setting="model.precision", value=value, reason=why)]


def _of_this_cpu() -> tuple[str, str]:
    import torch

    seconds = {"float32": float("inf"), "bfloat16": float("inf")}
    rows, inputs, outputs = PRODUCT
    with torch.inference_mode():
        operands = {
            name: (torch.ones(rows, inputs).to(dtype), torch.ones(outputs, inputs).to(dtype))
            for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16))
        }
        for left, right in operands.values():  # the first call of a type chooses its kernel
            torch.nn.functional.linear(left, right)
        for _ in range(ROUNDS):
            for name, (left, right) in operands.items():
                duration = _seconds(lambda x=left, w=right: torch.nn.functional.linear(x, w))  # type: ignore[misc]
                seconds[name] = min(seconds[name], duration)
    faster = seconds["bfloat16"] * LEAST_GAIN < seconds["float32"]
    return "bfloat16" if faster else "float32", (
        f"on this CPU a product of {rows} × {inputs} by {inputs} × {outputs} takes "
        f"{seconds['float32'] * 1e3:.3g} ms in float32 and {seconds['bfloat16'] * 1e3:.3g} ms in "
        f"bfloat16 (best of {ROUNDS})"
    )


def _of_this_gpu() -> tuple[str, str]:
    import torch

    if not torch.cuda.is_available():  # which fails the load, with a message of its own
        return "float32", "no GPU can be used here"
    major, minor = torch.cuda.get_device_capability()
    fast_float16 = (major, minor) in ((6, 0), (7, 0), (7, 5))
    value = "bfloat16" if major >= 8 else "float16" if fast_float16 else "float32"
    return value, f"{torch.cuda.get_device_name()} has compute capability {major}.{minor}"


def _of_machine_type(definition: Definition) -> tuple[str, str]:
    name = definition.cluster.machine_type if definition.cluster is not None else None
    machine = machine_types().get(name) if name is not None else None
    if machine is None or machine.instructions is None:
        return "float32", f"what the CPU of {name or 'the cluster'} multiplies is not known"
    has = [known for known in BFLOAT16_INSTRUCTIONS if known in machine.instructions]
    if has:
        return "bfloat16", f"every CPU of {name} has {has[0]}"
    return "float32", f"not every CPU that {name} may get has instructions for bfloat16"


def _of_accelerator(definition: Definition) -> tuple[str, str]:
    accelerator = definition.cluster.accelerator if definition.cluster is not None else None
    if accelerator is None:
        return "float32", "the cluster names no accelerator"
    return GPU_TYPES.get(accelerator.type, "bfloat16"), f"the accelerator is {accelerator.type}"


def compiled_choice(
    setting: str, size: int, model: torch.nn.Module, optimisation: Optimisation
) -> Choice:
    """Return whether to run a model compiled: one batch is timed as it is and compiled.

    Args:
        setting: that of the batch size that the model is compiled for; null: not compiled.
        size: its value.
        model: with its weights, not yet optimised.
        optimisation: with the shape that it is to be compiled for.
    """
    plain, shape = optimisation.uncompiled(), optimisation.compiled_shape
    assert shape is not None, "there is something to decide"
    before = _of_a_batch(plain.applied(model), optimisation)
    try:
        after = _of_a_batch(optimisation.applied(model), optimisation)
    except Exception as error:  # no compiler, no room, an operation that it does not know
        return Choice(
            setting=setting, value=None, reason=f"it cannot be compiled here: {reason(error)[:160]}"
        )
    return Choice(
        setting=setting,
        value=size if after < before else None,
        reason=f"a batch of {shape[0]} takes {before * 1e3:.3g} ms, compiled {after * 1e3:.3g} ms "
        "(best of 2)",
    )


def _of_a_batch(model: torch.nn.Module, optimisation: Optimisation) -> float:
    """Return the seconds of one batch, the faster of two; the first has warmed up."""
    import torch

    device = next(model.parameters()).device
    batch = torch.rand(optimisation.compiled_shape).to(device=device, dtype=optimisation.dtype)
    batch = batch.contiguous(memory_format=optimisation.memory_format)
    with torch.inference_mode():
        model(batch)
        return min(_seconds(lambda: model(batch)) for _ in range(2))


def _seconds(call: Callable[[], Any]) -> float:
    synchronise()
    start = time.perf_counter()
    call()
    synchronise()
    return time.perf_counter() - start
