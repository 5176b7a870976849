"""What a job that has not run yet may cost."""

from __future__ import annotations

from decimal import Decimal

import pytest

from beambench.cost.job_estimate import JobEstimate
from beambench.definition.library import Library
from beambench.experiments.cost import estimate_job_cost
from beambench.store.run_store import RunStore
from costed_runs import RESNET, local_run

T4 = "pytorch-image-classification-resnet152-t4"


@pytest.fixture
def store(tmp_path):
    with RunStore.open(f"sqlite:///{tmp_path}/runs.db") as opened:
        yield opened


def asked(store: RunStore, name: str = RESNET, *overrides: str) -> JobEstimate:
    library = Library()
    resolved = library.resolve(name, profile="full", overrides=list(overrides))
    return estimate_job_cost(resolved.definition, "stock", 50_000, library, store)


def test_the_price_of_an_hour_is_known_before_anything_ran(store):
    estimate = asked(store)
    # 75 × (2 × 0.056 + 7.5 × 0.003557 + 50 × 0.000054)
    assert estimate.hour == Decimal("10.603312")
    assert (estimate.workers, estimate.currency, estimate.total) == (75, "USD", None)
    assert "no succeeded run of variant stock" in estimate.unknown[0]


def test_a_gpu_is_in_the_hour_and_no_run_here_tells_the_rest(store):
    estimate = asked(store, T4)
    # the same and 75 × 0.42
    assert estimate.hour == Decimal("42.103312")
    assert estimate.unknown == [
        "the whole job: no run on this machine tells how long a GPU of the cluster takes"
    ]


def test_settings_count(store):
    assert asked(store, RESNET, "cluster.workers=150").hour == Decimal("21.206625")
    ssd = asked(store, RESNET, "cluster.disk_type=pd-ssd")
    # 75 × (2 × 0.056 + 7.5 × 0.003557 + 50 × 0.000298)
    assert ssd.hour == Decimal("11.518312")


def test_the_whole_is_projected_from_a_local_run(store):
    run = local_run()
    store.add(run)
    estimate = asked(store)
    assert estimate.run_id == run.run_id
    assert estimate.total is not None
    assert Decimal(0) < estimate.total.low < estimate.total.expected < estimate.total.high
    assert estimate.unknown == []
    for setting in ("workers=150", "machine_type=n1-standard-4", "disk_gb=500", "processes=1"):
        other = asked(store, RESNET, f"cluster.{setting}")
        assert other.total is not None
        assert other.total.expected != estimate.total.expected, setting
    gpu = asked(store, RESNET, "cluster.accelerator={type: nvidia-tesla-t4}")
    assert gpu.total is None
    assert "GPU" in gpu.unknown[0]


def test_a_region_without_prices_says_so(store):
    estimate = asked(store, RESNET, "cluster.region=europe-west4")
    assert (estimate.hour, estimate.total) == (None, None)
    assert estimate.unknown == ["there is no price sheet of region europe-west4"]


def test_a_machine_without_a_shape_says_so(store):
    estimate = asked(store, RESNET, "cluster.machine_type=n9-standard-2")
    assert estimate.hour is None
    assert estimate.unknown[0] == "an hour of n9-standard-2: parts of it have no price"
