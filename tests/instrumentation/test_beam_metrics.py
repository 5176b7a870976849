"""From the metrics of a finished pipeline to raw numbers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from beambench.instrumentation.beam_metrics import counters_kind, measured, raw_metrics, theirs
from beambench.instrumentation.recorder import MAX_SLOTS
from beambench.record.observation import Distribution, StageCpu, Stages
from beambench.record.run_record import ModelDevice

pytestmark = pytest.mark.real

SLOT_US = 1000


def entry(
    name: str, result: Any, step: str = "S", namespace: str = "beambench", committed: Any = None
) -> Any:
    metric = SimpleNamespace(namespace=namespace, name=name)
    key = SimpleNamespace(step=step, metric=metric)
    return SimpleNamespace(key=key, result=result, committed=committed)


def spread(count: int, total: int, low: int, high: int) -> Any:
    return SimpleNamespace(count=count, sum=total, min=low, max=high)


def query(counters: dict[str, int], distributions: dict[str, Any]) -> dict[str, list[Any]]:
    return {
        "counters": [entry(name, value) for name, value in counters.items()],
        "distributions": [entry(name, value) for name, value in distributions.items()],
    }


def read(counters: dict[str, int], distributions: dict[str, Any], elements: int = 0) -> Any:
    return measured(query(counters, distributions), elements, SLOT_US, 1)


def window(
    ends: dict[str, int], last_first_end: int, slots: dict[int, int]
) -> tuple[tuple[int, int] | None, int | None]:
    """Return window and elements, of workers whose last but one batches ended then."""
    result = read(
        {f"slot/{slot}": count for slot, count in slots.items()},
        {
            **{f"first_batch_end_us/{w}": spread(1, 0, 0, last_first_end) for w in ends},
            **{f"batch_start_us/{w}": spread(3, 0, 0, end) for w, end in ends.items()},
            **{f"steady_end_us/{w}": spread(1, 0, 0, end) for w, end in ends.items() if end},
        },
    )
    return result.steady_window, result.steady_elements


def test_without_metrics_all_is_unknown_and_nothing_is_zero():
    result = read({}, {}, elements=3)
    assert result.elements == 3
    assert result.batches == 0
    assert (result.batch_sizes, result.latencies, result.devices) == ({}, {}, [])
    for name in (
        "batch_size",
        "batch_latency",
        "bytes_read",
        "first_read",
        "last_output",
        "steady_window",
        "steady_elements",
        "cpu",
        "loads",
        "stages",
        "element_latency",
        "launch_latency",
        "server_starts",
    ):
        assert getattr(result, name) is None, name


@pytest.mark.parametrize(
    ("begin", "late"),
    [
        ({"first_read_us": spread(2, 900, 400, 500)}, 3),
        # Of a pipeline that exists already: its first batch began.
        ({"batch_start_us/a": spread(2, 0, 2_500, 9_500)}, 2),
        ({}, None),
    ],
    ids=["read", "inferred", "unknown"],
)
def test_loads_that_end_after_the_window_began_are_counted(begin, late):
    ends = {f"model_load_end_us/{end}": 1 for end in (300, 400, 2_000, 3_000)}
    ends |= {"model_load_end_us/8000": 1} if late == 3 else {"model_load_end_us/9000": 1}
    assert read(ends, begin).late_loads == late
    assert read({}, begin).late_loads is None


def test_loads_within_the_steady_window_are_counted():
    result = read(
        {f"model_load_end_us/{end}": 1 for end in (999, 1_000, 1_001, 5_000, 9_000)},
        {
            "first_batch_end_us/a": spread(1, 1_000, 1_000, 1_000),
            "batch_start_us/a": spread(3, 0, 500, 5_000),
            "steady_end_us/a": spread(3, 0, 500, 5_000),
        },
    )
    assert result.steady_window == (1_000, 5_000)
    assert result.steady_loads == 2
    assert read({"model_load_end_us/1": 1}, {}).steady_loads is None


@pytest.mark.parametrize(
    ("threads", "begin", "elements"),
    [(1, 1_000, 990), (2, 26_000, 980)],
    ids=["in turns", "beside each other"],
)
def test_models_for_keys_that_take_turns_in_one_thread_have_one_first_batch(
    threads, begin, elements
):
    """Fifty batches of 10 of one model within 50 ms, then fifty of another: 10 a millisecond."""
    entries = query(
        {},
        {
            "batch_size": spread(100, 1_000, 10, 10),
            "batch_end_us": spread(100, 0, 1_000, 100_000),
            "first_batch_end_us/a": spread(1, 1_000, 1_000, 1_000),
            "first_batch_end_us/b": spread(1, 51_000, 51_000, 51_000),
            "first_batch_size/a": spread(1, 10, 10, 10),
            "first_batch_size/b": spread(1, 10, 10, 10),
        },
    )
    found = measured(entries, 0, SLOT_US, threads)
    assert found.inference_window == (begin, 100_000)
    assert found.inference_elements == elements


def test_quantities_and_server_starts_are_read():
    result = read(
        {"quantity/prompt_tokens": 7, "quantity/output_tokens": 16, "quantity/none": 0},
        {"server_start_us": spread(2, 30, 10, 20)},
    )
    assert result.quantities == {"prompt_tokens": 7, "output_tokens": 16}
    assert result.server_starts == Distribution(count=2, sum=30, min=10, max=20)


def test_histograms_offsets_and_counts_are_read():
    result = read(
        {
            "batches_of_size/10": 3,
            "batches_of_size/7": 1,
            "batches_of_size/9": 0,
            "batches_of_size_folded": 2,
            "batch_latency_ns_bucket/150": 4,
            "batch_latency_ns_bucket_folded": 3,
            "replaced_batches_of_size/10": 2,
            "computed_batches_of_size/1": 9,
            "computed_batches_of_size/7": 1,
            "computed_batches_of_size_folded": 4,
            "batches_retried": 1,
            "batches_empty": 6,
            "bytes_read": 12345,
            "cpu_us": 99,
            "element_latency_ns": 77_000,
            "model_device/cuda/NVIDIA A/B": 2,
            "model_device/unknown/it does not say": 1,
        },
        {
            "batch_size": spread(4, 37, 7, 10),
            "retry_cause_us/ValueError: a/b": spread(2, 700, 300, 400),
            "retry_cause_us/OSError: later": spread(1, 350, 350, 350),
            "batch_latency_ns": spread(3, 60, 10, 30),
            "first_read_us": spread(2, 300, 100, 200),
            "output_us": spread(37, 9000, 400, 900),
            "model_load_us": spread(2, 50, 20, 30),
            "batch_launch_latency_ns": spread(3, 6, 1, 3),
        },
        elements=37,
    )
    assert result.batches == 4
    assert result.batch_sizes == {10: 3, 7: 1}
    assert result.latencies == {150: 4}
    assert (result.replaced_sizes, result.computed_sizes) == ({10: 2}, {1: 9, 7: 1})
    assert result.retry_cause == "ValueError: a/b"
    assert (result.folded, result.folded_sizes) == (3, 6)
    assert (result.retried_batches, result.empty_batches) == (1, 6)
    assert result.batch_size == Distribution(count=4, sum=37, min=7, max=10)
    assert result.batch_latency == Distribution(count=3, sum=60, min=10, max=30)
    assert (result.first_read, result.last_output) == (100, 900)
    assert (result.bytes_read, result.cpu, result.element_latency) == (12345, 99, 77)
    assert result.loads == Distribution(count=2, sum=50, min=20, max=30)
    assert result.devices == [
        ModelDevice(device="cuda", name="NVIDIA A/B", loads=2),
        ModelDevice(reason="it does not say", loads=1),
    ]
    assert result.launch_latency == Distribution(count=3, sum=6, min=1, max=3)


def test_what_several_steps_wrote_is_added_up_and_what_others_wrote_is_not():
    both = {
        "counters": [
            entry("cpu_us", 3, "A"),
            entry("cpu_us", 4, "B"),
            entry("cpu_us", 1000, "A", namespace="BeamML"),
            entry("bytes_read", None, "A"),
        ],
        "distributions": [
            entry("batch_size", spread(1, 5, 5, 5), "A"),
            entry("batch_size", spread(2, 9, 2, 7), "B"),
            entry("batch_size", spread(9, 99, 1, 90), "B", namespace="BeamML"),
            entry("batch_latency_ns", None, "A"),
            entry("output_us", spread(0, 0, 2**63 - 1, -(2**63)), "A"),  # Beam's empty one
        ],
    }
    result = measured(both, 14, SLOT_US, 1)
    assert result.cpu == 7
    assert result.bytes_read is None
    assert result.batch_size == Distribution(count=3, sum=14, min=2, max=7)
    assert result.batch_latency is None
    assert result.last_output is None


def test_waiting_is_the_difference_of_two_sums_of_offsets():
    counters = {
        "read_ns": 1_000,
        "preprocess_ns": 2_500,
        "preprocessed_at_us": 1_000,
        "inferred_at_us": 4_600,
        "inference_ns": 7_000,
        "postprocess_ns": 500,
    }
    assert read(counters, {}).stages == Stages(
        read=1.0, preprocess=2.5, batch_wait=3600.0, inference=7.0, postprocess=0.5
    )
    for needed in ("preprocessed_at_us", "inferred_at_us"):
        some = {name: value for name, value in counters.items() if name != needed}
        assert read(some, {}).stages is None


def test_cpu_time_of_the_stages_is_of_the_elements_that_it_was_read_of():
    counters = {
        "preprocess_cpu_elements": 4,
        "read_cpu_ns": 8_000,
        "preprocess_cpu_ns": 20_000,
        "postprocess_cpu_elements": 5,
        "postprocess_cpu_ns": 2_500,
        "inference_cpu_ns": 90_000,
    }
    sizes = {"batch_size": spread(3, 60, 20, 20)}
    known = StageCpu(read=2.0, preprocess=5.0, inference=1.5, postprocess=0.5, sampled=5)
    assert read(counters, sizes).stage_cpu == known
    unknown = known.model_copy(update={"inference": None})
    assert read(counters, {}).stage_cpu == unknown
    two_threads = measured(query(counters, sizes), 0, SLOT_US, 2)
    assert two_threads.stage_cpu == unknown
    assert read({}, sizes).stage_cpu is None


# --- the steady window


def test_it_is_from_the_last_workers_first_end_to_the_first_workers_last_but_one():
    steady = window({"a": 9_000, "b": 7_500}, 2_100, {1: 5, 2: 10, 5: 20, 7: 30, 8: 40})
    assert steady == ((2_100, 7_500), 60)


@pytest.mark.parametrize("end", [2_000, 2_100])
def test_an_empty_window_is_unknown(end):
    assert window({"a": 9_000, "b": end}, 2_100, {2: 10}) == (None, None)


def test_a_worker_without_a_batch_between_first_and_last_leaves_it_unknown():
    assert window({"a": 9_000, "b": 0}, 2_100, {2: 10}) == (None, None)


def test_a_window_without_slots_has_an_unknown_number_of_elements():
    assert window({"a": 9_000}, 2_100, {}) == ((2_100, 9_000), None)


def test_a_window_in_which_no_batch_ended_has_no_elements():
    assert window({"a": 9_000}, 2_100, {1: 3, 11: 4}) == ((2_100, 9_000), 0)


@pytest.mark.parametrize(("slot", "known"), [(MAX_SLOTS - 2, True), (MAX_SLOTS - 1, False)])
def test_in_the_last_slot_nothing_is_known_about_time(slot, known):
    span, elements = window({"a": slot * SLOT_US}, 500, {1: 3, slot: 4})
    assert span == (500, slot * SLOT_US)
    assert elements == (7 if known else None)


def test_before_the_first_slot_nothing_is_known_about_time():
    """The clock of a worker elsewhere may be behind that of the machine that submitted the job."""
    assert window({"a": 9_000}, -2_100, {0: 5, 2: 10}) == ((-2_100, 9_000), None)


# --- Beam's own


def test_beams_metrics_are_those_of_the_handlers_namespace_with_their_step():
    both = {
        "counters": [
            entry("num_inferences", 10, "T/BeamML_RunInference", namespace="BeamML_PyTorch"),
            entry("num_inferences", 99, "U", namespace="Other"),
            entry("cpu_us", 5),
        ],
        "distributions": [
            entry("batch", spread(2, 10, 3, 7), "T/BeamML_RunInference", "BeamML_PyTorch"),
            entry("none", None, "T", "BeamML_PyTorch"),
        ],
    }
    place = {"namespace": "BeamML_PyTorch", "step": "T/BeamML_RunInference"}
    assert theirs(both, "BeamML_PyTorch") == {
        "num_inferences": {**place, "value": 10},
        "batch": {**place, "count": 2, "sum": 10, "min": 3, "max": 7},
    }


def test_a_result_is_committed_if_any_metric_is():
    attempted = {"counters": [entry("a", 1)], "distributions": [entry("b", spread(1, 1, 1, 1))]}
    assert counters_kind(attempted) == "attempted"
    attempted["distributions"][0].committed = spread(1, 1, 1, 1)
    assert counters_kind(attempted) == "committed"


def test_all_that_a_pipeline_wrote_is_handed_over_by_namespace_and_summed_over_steps():
    raw = raw_metrics(
        {
            "counters": [
                entry("words", 3, "A", "acme"),
                entry("words", 4, "B", "acme"),
                entry("words", 9, "A", "other"),
                entry("cpu_us", 5),
                entry("slot/1", 5),
            ],
            "distributions": [
                entry("length", spread(2, 6, 1, 5), "A", "acme"),
                entry("length", spread(1, 9, 9, 9), "B", "acme"),
                entry("never", spread(0, 0, None, None), "B", "acme"),  # type: ignore[arg-type]
                entry("batch_start_us/w", spread(1, 1, 1, 1)),
            ],
        }
    )
    assert {
        namespace: namespace_metrics.counters for namespace, namespace_metrics in raw.items()
    } == {
        "acme": {"words": 7},
        "other": {"words": 9},
        "beambench": {"cpu_us": 5},  # of what a family of counters means, `measured` says more
    }
    lengths = Distribution(count=3, sum=15, min=1, max=9)
    assert raw["acme"].distributions == {"length": lengths}
    assert raw["beambench"].distributions == {}


SHARED = {"handlers_with_model_in_tree": 2}
REMOTE = {"handlers_with_model_elsewhere": 1}
BEGIN, END = "process_tree_cpu_begin_us", "process_tree_cpu_end_us"


@pytest.mark.parametrize(
    ("counters", "distributions", "cpu"),
    [
        ({"cpu_us": 70}, {}, 70),
        # Two workers: the first began at 900 µs of the tree's CPU time, the last ended at 17,000.
        (SHARED, {BEGIN: spread(2, 0, 900, 950), END: spread(9, 0, 5_000, 17_000)}, 16_100),
        # One step infers here, and another in a server: what the first used is in the tree's.
        (SHARED | {"cpu_us": 70}, {BEGIN: spread(1, 0, 0, 0), END: spread(1, 0, 400, 400)}, 400),
        # Dataflow, where the processes of a worker cannot be read: never the client's share.
        (SHARED | {"cpu_us": 70}, {}, None),
        (SHARED, {BEGIN: spread(1, 0, 500, 500), END: spread(1, 0, 400, 400)}, None),
        (REMOTE | {"cpu_us": 70}, {}, None),
    ],
)
def test_cpu_time_is_that_of_all_processes_that_did_the_work_or_unknown(
    counters, distributions, cpu
):
    result = read(counters, distributions)
    assert result.cpu == cpu
    assert (result.cpu_unknown is None) == (cpu is not None)


def test_what_servers_told_is_summed_over_servers_and_not_over_those_who_asked():
    names = ("first_token_us", "first_tokens", "per_token_us", "per_token_requests")
    told = {
        f"server_requests/{name}/{server}": spread(3, 0, 0, 10 * index + last)
        for index, name in enumerate(names)
        for server, last in (("a", 1), ("b", 4))
    }
    times = read({}, told).request_times
    assert tuple(times.model_dump().values()) == (5, 25, 45, 65)
    assert read({}, {}).request_times is None
