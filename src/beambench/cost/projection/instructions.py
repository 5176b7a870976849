"""Instructions of CPUs that a measured speed rests on, and whether another CPU has them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

FULL = "float32"
VECTORS = ("avx", "avx2", "avx512f")
"""Instructions that decide how many numbers a core takes at a time, the narrowest first."""
COMPILED = "compiled kernels"
RESTS_ON = {
    "bfloat16": ("avx512_bf16", "amx_bf16", "bf16"),
    "float16": ("avx512_fp16", "amx_fp16", "asimdhp"),
    COMPILED: ("avx2",),
}
"""Instructions that make computing so faster than in float32, on x86 and on ARM.

torch.compile makes vectors for AVX2 or wider, and none for an x86 CPU without.
"""


def lacking(speed: str, here: Mapping[str, bool], there: Sequence[str] | None) -> list[str]:
    """Return the instructions that made computing so fast here and that are not sure to be there.

    Where it is not known what this CPU has, it may have had any; None: that CPU is not known.
    """
    names = RESTS_ON.get(speed, ())
    used = [name for name in names if here.get(name)] if here else list(names[:1])
    return [name for name in used if there is None or name not in there]


def widest_vectors(instructions: Collection[str]) -> str | None:
    """Return the last of VECTORS that is among the instructions of a CPU."""
    return next((name for name in reversed(VECTORS) if name in instructions), None)
