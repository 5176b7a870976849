"""Settings that Beam's handlers take and nothing reads: their `**kwargs` swallow any name."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Iterator
from typing import Any

from apache_beam.ml.inference.base import ModelHandler, RunInference

READ_IN_HANDLER = frozenset({"env_vars"})
READ_IN_TRANSFORM = frozenset({"interval", "stop_timestamp"})
"""What Beam looks for among the further arguments of handler and transform."""


@contextlib.contextmanager
def noted_settings() -> Iterator[dict[str, None]]:
    """Note what handlers made inside are given and Beam throws away, as `Handler(name=…)`.

    They arrive at the constructor of `ModelHandler`, which keeps none of them: that is watched.
    """
    noted: dict[str, None] = {}
    construct = ModelHandler.__init__
    known = set(inspect.signature(construct).parameters)

    @functools.wraps(construct)
    def watched(handler: Any, *args: Any, **settings: Any) -> None:
        for name in settings.keys() - known - READ_IN_HANDLER:
            noted[f"{type(handler).__name__}({name}=…)"] = None
        construct(handler, *args, **settings)

    ModelHandler.__init__ = watched
    try:
        yield noted
    finally:
        ModelHandler.__init__ = construct


def ignored_by(transform: RunInference) -> list[str]:
    """Return the further arguments of a RunInference that nothing reads."""
    return [
        f"RunInference({name}=…)" for name in transform._kwargs if name not in READ_IN_TRANSFORM
    ]
