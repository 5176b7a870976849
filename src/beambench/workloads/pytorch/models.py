"""What the PyTorch workloads share: making weights, and loading one copy of them."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beambench.errors import RunError

if TYPE_CHECKING:
    import torch


@contextlib.contextmanager
def uninitialised() -> Iterator[None]:
    """Build modules without filling in weights that are loaded over at once.

    Memory that nobody writes to is never resident, so the worker holds one copy and not two.
    """
    import torch

    names = [name for name in vars(torch.nn.init) if name.endswith("_") and name[0] != "_"]
    originals = {name: getattr(torch.nn.init, name) for name in names}
    for name in names:
        setattr(torch.nn.init, name, lambda tensor, *_, **__: tensor)
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(torch.nn.init, name, original)


def adopting(model: torch.nn.Module) -> torch.nn.Module:
    """Let the model take over the tensors of the state dict that Beam's handler gives it.

    Beam calls ``load_state_dict(state_dict)``, which copies: while it runs, two copies are there.
    Copying would also widen weights that a file holds in half precision, so that is done here.
    """
    load = model.load_state_dict

    def load_state_dict(state_dict: dict[str, Any]) -> Any:
        result = load(state_dict, assign=True)
        model.float()
        return result

    model.load_state_dict = load_state_dict
    return model


def random_weights(
    build: Callable[[], torch.nn.Module], name: str, seed: int, cache: Path, *packages: str
) -> Path:
    """Make a state dict from the seed once and keep it, so that all repeats load the same file.

    Args:
        build: returns the model with freshly initialised weights.
        name: tells the file from those of other models.
        seed: of torch's generator.
        cache: folder that keeps the file.
        packages: distributions whose version decides what is made.

    Raises:
        RunError: the file cannot be written.
    """
    import torch

    versions = " ".join(importlib.metadata.version(package) for package in ("torch", *packages))
    version = hashlib.sha256(versions.encode()).hexdigest()
    path = cache / f"random-weights-{name}-seed{seed}-{version[:8]}.pth"
    if not path.is_file():
        torch.manual_seed(seed)
        save_state_dict(build().state_dict(), path)
    return path


def save_state_dict(state_dict: dict[str, Any], path: Path) -> None:
    """Write a state dict whole or not at all.

    Raises:
        RunError: the file cannot be written.
    """
    import torch

    partial = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:  # given a path, torch writes its name into the file
            torch.save(state_dict, file)
        partial.replace(path)
    except OSError as error:
        raise RunError(
            f"{path.parent}: cannot write weights there: {error.strerror or error}"
        ) from None
    except RuntimeError as error:  # torch.save reports a full disk as this
        raise RunError(f"{path.parent}: cannot write weights there: {reason(error)}") from None
    finally:
        with contextlib.suppress(OSError):  # the folder itself may not be there
            partial.unlink()


def reason(error: Exception) -> str:
    """Return the first line of an error, which may have none; of a URL's, what is behind it."""
    lines = str(getattr(error, "reason", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
