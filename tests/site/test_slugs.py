from __future__ import annotations

import re

import pytest

from beambench.site.slugs import LONGEST, slug


@pytest.mark.parametrize("name", ["overhead-noop", "20260131T100000Z-00000001", "a.b_c"])
def test_a_safe_name_stays(name):
    assert slug(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../../etc/passwd", ".hidden", "a b", "a|b", "a" * 500, "a\0b", "é", "a/b\n"],
)
def test_an_unsafe_name_becomes_a_file_name(name):
    safe = slug(name)
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*-[0-9a-f]{8}|-[0-9a-f]{8}", safe)
    assert len(safe) <= LONGEST


def test_unlike_names_have_unlike_files():
    names = ["a b", "a/b", "a-b", "a\tb", "a" * 200, "a" * 201, "\ud800"]
    assert len({slug(name) for name in names}) == len(names)
