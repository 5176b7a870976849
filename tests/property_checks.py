"""How many examples a property is tried with."""

from __future__ import annotations

import os

from hypothesis import settings

FULL = os.environ.get("BEAMBENCH_TEST_TORTURE") == "full"

CHECKED = settings(max_examples=500 if FULL else 50, deadline=None, derandomize=True)
"""The same examples every time: what fails is the change. `make torture` tries more of them."""
