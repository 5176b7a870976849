"""The settings of torch that change how fast it is."""

from __future__ import annotations


def torch_settings() -> dict[str, object] | None:
    """Return them, or None where torch is not installed."""
    try:
        import torch
    except ImportError:
        return None
    return {
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "mkldnn": torch.backends.mkldnn.is_available(),
        "cuda": torch.version.cuda,
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
    }
