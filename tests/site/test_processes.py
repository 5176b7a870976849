"""Pages that several processes write: the same as those that one writes."""

from __future__ import annotations

import pytest

from beambench.errors import StoreError
from beambench.site import build
from beambench.site.benchmark_pages import SiteRequest, state_of
from beambench.site.build import build_site
from beambench.site.processes import write_in_processes
from beambench.store.run_store import RunStore
from published_runs import run_record

pytestmark = pytest.mark.real
NOW = "2026-02-01T00:00:00.000Z"


@pytest.fixture
def store(tmp_path):
    with RunStore.open(f"sqlite:///{tmp_path}/runs.db") as runs:
        for number in range(6):
            runs.add(run_record(number, benchmark=f"benchmark-{number % 3}"))
        yield runs


def test_several_processes_write_what_one_does(store, tmp_path, monkeypatch):
    one, several = tmp_path / "one", tmp_path / "several"
    build_site(store, SiteRequest(one, NOW))
    monkeypatch.setattr(build, "MANY_RUNS", 1)
    build_site(store, SiteRequest(several, NOW))
    names = {path.relative_to(one) for path in one.rglob("*") if path.is_file()}
    assert names == {path.relative_to(several) for path in several.rglob("*") if path.is_file()}
    assert len(names) > 20
    for name in names:
        assert (one / name).read_bytes() == (several / name).read_bytes()


def test_what_a_process_cannot_do_is_said_by_the_parent(store, tmp_path):
    request = SiteRequest(tmp_path / "nowhere", NOW)
    states = [state_of(store, f"benchmark-{number}", request, {}) for number in range(2)]
    with pytest.raises(OSError, match="No such file"):
        write_in_processes(store.url, request, states, is_new=True)


def test_a_store_that_cannot_be_opened_is_named(store, tmp_path):
    request = SiteRequest(tmp_path / "nowhere", NOW)
    states = [state_of(store, "benchmark-0", request, {})]
    with pytest.raises(StoreError, match="is a folder: name a file"):
        write_in_processes(f"sqlite:///{tmp_path}", request, states, is_new=True)
