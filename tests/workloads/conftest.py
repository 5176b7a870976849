"""Real photographs, and one cache for the weights that are made."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from platformdirs import user_cache_dir


@pytest.fixture(scope="session")
def photographs() -> Path:
    spec = find_spec("sklearn")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "datasets" / "images"


@pytest.fixture(scope="session")
def cache() -> Path:
    """The cache of the session: weights are made once for all tests."""
    return Path(user_cache_dir("beambench", appauthor=False))
