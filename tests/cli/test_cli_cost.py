"""`beambench cost`: what a job used, and a local run projected, as text and as JSON."""

import json
import shutil
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

import costed_runs
from beambench.analysis.intervals import prediction_interval
from beambench.cost.prices.sheet import SHEETS, packaged_sheets
from beambench.cost.report import CostReport
from beambench.definition.entry_points import entry_points
from costed_runs import RESNET, job, local_run
from installed import ACME, WORKLOAD, install

STORE = "sqlite:///runs.db"
EXACT = ("--scale", "0.5", "--parallel-efficiency", "0.8", "--stragglers", "1.25")
SCHEMA = Path(__file__).parents[2] / "docs" / "cost.schema.json"
THIS = """
name: this-machine
service: this very machine
region: here
currency: EUR
source: a guess
date: 2026-06-01
machines:
  this: {vcpus: 2, memory_gb: 23, per_hour: 0.36}
"""


@pytest.fixture
def keep(folder):
    return lambda *records: costed_runs.keep(folder / "runs.db", *records)


@pytest.fixture
def cost(beambench):
    """Price a run; return the document."""

    def cost(*arguments):
        answer = beambench("cost", *arguments, "--store", STORE, "--json")
        assert (answer.code, answer.err) == (0, "")
        return answer.document

    return cost


def assumption(document, name):
    (stated,) = [each for each in document["assumptions"] if each["name"] == name]
    return stated


# --- projections ----------------------------------------------------------------------------------


def test_a_projection_by_hand(keep, cost):
    # tests/cost/projection/test_projection.py works out the time: 75 machines for 333.75 s are
    # 25,031.25 s = 6.953125 machine hours of n1-standard-2 with 50 GB:
    #   vCPU     13.90625   vCPU h × 0.056    = 0.778750
    #   memory   52.1484375 GB h   × 0.003557 = 0.185491992
    #   disk    347.65625   GB h   × 0.000054 = 0.018773438
    #   shuffle 50,000 × 300 B = 0.013969839 GB × 0.011 = 0.000153668
    #   together                                0.983169098
    keep(local_run())
    document = cost(RESNET, *EXACT, "--worker-start", "100")
    assert document["kind"] == "projection"
    assert document["projection"]["wall_seconds"]["expected"] == pytest.approx(333.75)
    assert document["cost"]["expected"]["total"] == "0.983169"
    assert document["total"]["expected"] == "0.983169"
    assert document["total"]["at_least"] is False
    assert document["per_thousand"]["expected"] == "0.019663"
    assert document["benchmark_elements"] == 50_000
    assert document["benchmark_total"]["expected"] == "0.983169"
    assert document["unknown"] == []


def test_every_assumption_says_value_range_and_origin(keep, cost):
    keep(local_run())
    document = cost(RESNET, "--scale", "0.4:0.5:0.6")
    origins = {each["name"]: each["origin"] for each in document["assumptions"]}
    assert origins == {
        "process_throughput_here": "measured",
        "startup_time": "measured",
        "model_load_latency": "measured",
        "memory_per_machine": "measured",
        "workers": "definition",
        "processes_per_machine": "assumed",
        "copies_of_model": "definition",
        "threads_per_process": "assumed",
        "disk_per_machine": "definition",
        "harness_threads": "assumed",
        "scale": "asked",
        "parallel_efficiency": "assumed",
        "stragglers": "assumed",
        "worker_start": "assumed",
        "shuffle_per_element": "assumed",
    }
    assert assumption(document, "scale")["value"] == {"low": 0.4, "expected": 0.5, "high": 0.6}
    assert assumption(document, "memory_per_machine")["value"]["expected"] == 3.0
    assert assumption(document, "process_throughput_here")["value"]["low"] == pytest.approx(
        1.798, abs=1e-3
    )
    totals = document["total"]
    assert Decimal(totals["low"]) < Decimal(totals["expected"]) < Decimal(totals["high"])


def test_the_newest_local_run_of_the_variant_and_model_is_taken(keep, cost):
    keep(
        local_run(1),
        local_run(2),
        local_run(3, status="failed"),
        local_run(4, variant="tuned-channels-last"),
        local_run(5, model={"name": "resnet18", "weights": "random"}),
        job(6),
    )
    assert cost(RESNET)["run_id"] == local_run(2).run_id
    assert cost(RESNET, "--variant", "tuned-channels-last")["run_id"] == local_run(4).run_id
    assert cost("20260131T1001")["run_id"] == local_run(1).run_id


def test_options_change_the_plan(keep, cost):
    keep(local_run())
    document = cost(
        *(RESNET, "--machine-type", "n2-standard-4", "--workers", "10", "--elements", "1000"),
        *("--spot", "--region", "us-central1"),
    )
    cluster = document["cluster"]
    assert (cluster["machine_type"], cluster["workers"], cluster["processes"]) == (
        "n2-standard-4",
        10,
        4,
    )
    assert (document["elements"], document["mode"]) == (1000, "spot")
    assert document["total"] == document["per_thousand"] == document["benchmark_total"]
    assert document["cost"]["expected"]["lines"][0]["sku"] == "FlexRS vCPU"
    assert assumption(document, "workers")["origin"] == "asked"
    assert "6 hours" in assumption(document, "spot")["note"]


def test_a_machine_of_ones_own_from_one_process_to_two(folder, keep, cost):
    # 5 elements/s alone; two of them at 0.9 of that, without stragglers: 9 elements/s. 100 each
    # are 200 ÷ 9 s, the set-up 10 ÷ 0.9 s: 33.33 s in all, at 0.36 EUR an hour 0.003333 EUR.
    (folder / "this.yaml").write_text(THIS)
    keep(local_run())
    document = cost(
        *(RESNET, "--sheet", "this.yaml", "--machine-type", "this", "--workers", "1"),
        *("--scale", "1", "--worker-start", "0", "--parallel-efficiency", "0.9"),
        *("--stragglers", "1", "--elements", "200"),
    )
    projection = document["projection"]
    assert projection["throughput_elements"]["expected"] == pytest.approx(9)
    # The next of three repeats at 4, 5 and 6 lies between 1.798 and 13.53: two at 0.9 of that.
    assert projection["throughput_elements"]["low"] == pytest.approx(1.8 * 1.7983, abs=1e-3)
    assert projection["throughput_elements"]["high"] == pytest.approx(1.8 * 13.529, abs=1e-2)
    assert projection["wall_seconds"]["expected"] == pytest.approx(200 / 6)
    assert document["total"]["expected"] == "0.003333"
    assert document["sheet"]["currency"] == "EUR"
    assert [line["resource"] for line in document["cost"]["expected"]["lines"]] == [
        "machine",
        "shuffle",
    ]


def test_a_run_of_two_processes_is_shared_between_them(keep, cost):
    run = local_run(overrides=["threads=1", "runner.processes=2"], peak_gb=3.0)
    keep(run)
    document = cost(RESNET)
    assert assumption(document, "process_throughput_here")["value"]["expected"] == 2.5
    assert assumption(document, "memory_per_machine")["value"]["expected"] == 3.0


def test_threads_that_nobody_set_are_seen_by_the_cores_that_were_busy(keep, cost, beambench):
    metrics = {"throughput_elements": 5.0, "startup_time": 10.0, "peak_rss": 1e9}
    busy = [costed_runs.repeat(0, {**metrics, "cpu_time_per_element": 0.38})]
    idle = [costed_runs.repeat(0, {**metrics, "cpu_time_per_element": 0.2})]
    keep(local_run(1, overrides=[], repeats=busy), local_run(2, overrides=[], repeats=idle))
    threads = assumption(cost("20260131T1002"), "threads_per_process")
    assert (threads["value"]["expected"], threads["origin"]) == (1, "assumed")
    refused = beambench("cost", "20260131T1001", "--store", STORE)
    assert refused.code == 2
    assert "2 threads in a process" in refused.err
    assert cost("20260131T1001", "--processes", "1")["cluster"]["threads"] == 2


def test_a_speed_in_bfloat16_is_carried_over_where_the_cpu_is_sure_to_have_it(keep, cost):
    keep(local_run(variant="tuned-bf16"))
    document = cost(RESNET, "--variant", "tuned-bf16", "--machine-type", "c3-standard-4")
    assert document["cluster"]["machine_type"] == "c3-standard-4"


def test_a_speed_in_bfloat16_is_refused_and_a_run_in_float32_named(keep, beambench):
    keep(local_run(1), local_run(2, variant="tuned-bf16"))
    answer = beambench("cost", RESNET, "--variant", "tuned-bf16", "--store", STORE)
    assert (answer.code, answer.out) == (2, "")
    assert "rests on avx512_bf16, which n1-standard-2 is not sure to have" in answer.err
    assert f"`beambench cost {local_run(1).run_id}`" in answer.err


@pytest.mark.parametrize(
    ("precision", "code", "problem"),
    [
        ("float32", 0, ""),
        ("bfloat16", 2, "rests on avx512_bf16, which n1-standard-2 is not sure to have"),
    ],
)
def test_a_precision_that_the_run_decided_is_the_one_that_counts(
    keep, beambench, precision, code, problem
):
    choices = [
        {"setting": "model.precision", "value": precision, "reason": "it is faster"},
        {"setting": "parameters.compiled_batch_size", "value": None, "reason": "no compiler"},
    ]
    keep(local_run(variant="tuned", choices=choices))
    answer = beambench("cost", RESNET, "--variant", "tuned", "--store", STORE)
    assert answer.code == code
    assert problem in answer.err


def test_a_decision_over_nothing_that_the_definition_has_is_refused(keep, beambench):
    choices = [{"setting": "model.speed.of", "value": 1, "reason": ""}]
    keep(local_run(variant="tuned", choices=choices))
    answer = beambench("cost", RESNET, "--variant", "tuned", "--store", STORE)
    assert (answer.code, answer.out) == (2, "")
    assert "its definition has no model.speed.of" in answer.err


def test_a_benchmark_with_a_gpu_can_be_planned_without(keep, cost):
    t4 = "pytorch-image-classification-resnet152-t4"
    keep(local_run(benchmark=t4, overrides=["threads=1", "model.device=cpu"]))
    document = cost(t4, "--gpu", "none")
    assert (document["cluster"]["gpu"], document["cluster"]["machine_type"]) == (
        None,
        "n1-standard-2",
    )


def test_a_server_that_chooses_bfloat16_is_seen_as_such(keep, beambench):
    gemma, plan = "vllm-gemma-2b-batch", ("--gpu", "none", "--processes", "1", "--store", STORE)
    chosen = "parameters.server.dtype=float32"
    metrics = {"throughput_elements": 5.0, "startup_time": 10.0, "peak_memory": 1e9}
    repeats = [costed_runs.repeat(0, {**metrics, "cpu_time_per_element": 0.38})]
    keep(
        local_run(1, benchmark=gemma, profile="smoke"),
        local_run(2, benchmark=gemma, overrides=["threads=2"], repeats=repeats),
    )
    tiny = beambench("cost", "20260131T1001", *plan)
    assert (tiny.code, "profile smoke runs gemma-tiny in place" in tiny.err) == (2, True)
    own = beambench("cost", "20260131T1002", *plan)
    assert (own.code, f"--set {chosen}" in own.err) == (2, True)
    keep(local_run(3, benchmark=gemma, overrides=["threads=2", chosen], repeats=repeats))
    assert beambench("cost", "20260131T1003", *plan).code == 0


def test_compiled_kernels_are_named_among_the_assumptions(keep, cost):
    keep(local_run(variant="tuned-compiled"))
    document = cost(RESNET, "--variant", "tuned-compiled", "--machine-type", "e2-standard-2")
    assert "avx512f here and for avx2 there" in assumption(document, "compiled_kernels")["note"]
    alike = cost(RESNET, "--variant", "tuned-compiled", "--machine-type", "n2-standard-2")
    assert all(each["name"] != "compiled_kernels" for each in alike["assumptions"])


def test_compiled_kernels_are_not_carried_over_where_nothing_is_compiled_for(keep, beambench):
    keep(local_run(1), local_run(2, variant="tuned-compiled"))
    answer = beambench("cost", RESNET, "--variant", "tuned-compiled", "--store", STORE)
    assert (answer.code, answer.out) == (2, "")
    assert "compiled kernels rests on avx2, which n1-standard-2 is not sure to have" in answer.err
    assert f"`beambench cost {local_run(1).run_id}`" in answer.err


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"runner": {"requested": "flink", "executed": "flink"}}, "ran on flink"),
        ({"config_output": {"kind": "text"}}, "measure without --output"),
    ],
)
def test_runs_that_measured_something_else_are_refused_and_not_taken(
    keep, beambench, cost, changed, words
):
    other = local_run(2)
    if "config_output" in changed:
        changed = {"config": other.config | {"output": changed["config_output"]}}
    keep(local_run(1), local_run(2, **changed))
    answer = beambench("cost", "20260131T1002", "--store", STORE)
    assert (answer.code, answer.out) == (2, "")
    assert words in answer.err
    assert cost(RESNET)["run_id"] == local_run(1).run_id


def test_processes_that_kept_more_cores_busy_than_their_threads_are_seen(keep, beambench, cost):
    metrics = {"throughput_elements": 5.0, "startup_time": 10.0, "peak_rss": 1e9}
    busy = [costed_runs.repeat(0, {**metrics, "cpu_time_per_element": 0.38})]
    keep(local_run(repeats=busy))
    answer = beambench("cost", RESNET, "--store", STORE)
    assert (answer.code, answer.out) == (2, "")
    assert "1.9 cores busy with threads=1" in answer.err
    assert cost(RESNET, "--processes", "1")["cluster"]["threads"] == 2


def served(*, cpu: float | None, **changed):
    """Return a run of 0.5 elements/s whose model a server has."""
    metrics = {"throughput_elements": 0.5, "startup_time": 10.0, "peak_memory": 1e9}
    if cpu is not None:
        metrics["cpu_time_per_element"] = cpu
    config = local_run(overrides=[]).config | {"model_runs": "server"}
    return local_run(config=config, repeats=[costed_runs.repeat(0, metrics)], **changed)


def test_the_threads_of_a_server_are_counted(keep, beambench, cost):
    # The client keeps 0.04 cores busy and the server 16: 16.04 cores ÷ 0.5/s = 32.08 s an element.
    keep(served(cpu=32.08))
    plan = ("--processes", "1", "--machine-type", "n1-standard-16")
    document = cost(RESNET, *plan)
    assert document["cluster"]["threads"] == 16
    threads = assumption(document, "threads_per_process")
    assert threads["origin"] == "measured"
    assert threads["note"] == "16.0 cores busy, with the processes that computed the model"
    answer = beambench(
        "cost", RESNET, *plan[:2], "--machine-type", "n1-standard-8", "--store", STORE
    )
    assert (answer.code, answer.out) == (2, "")
    assert "kept 16.0 cores busy, and n1-standard-8 has 8 vCPUs" in answer.err


@pytest.mark.parametrize("changed", [{"cpu": None}, {"cpu": 0.08, "schema_version": 1}])
def test_threads_of_a_server_whose_cpu_time_is_unknown_are_not_one(keep, beambench, changed):
    keep(served(**changed))
    plan = ("--processes", "1", "--machine-type", "n1-standard-16", "--store", STORE)
    answer = beambench("cost", RESNET, *plan)
    assert (answer.code, answer.out) == (3, "")
    assert "so their threads are not: measure it again" in answer.err


def test_threads_of_processes_that_share_a_model_are_those_of_all_that_computed(keep, cost):
    # 5/s × 1.64 s = 8.2 busy cores of four processes: 2.05 each, and torch's 16 are not one's own.
    overrides = ["runner.processes=4", "model.large=true"]
    metrics = {"throughput_elements": 5.0, "startup_time": 10.0, "peak_memory": 4e9}
    repeats = [costed_runs.repeat(0, {**metrics, "cpu_time_per_element": 1.64})]
    keep(local_run(overrides=overrides, repeats=repeats))
    document = cost(RESNET, "--processes", "1", "--machine-type", "n1-standard-16")
    assert document["cluster"]["threads"] == 2


def test_a_server_is_one_for_all_processes_of_a_machine(keep, beambench):
    gemma = "vllm-gemma-2b-batch"
    keep(local_run(benchmark=gemma, overrides=["threads=1", "parameters.server.dtype=float32"]))
    plan = ("--gpu", "none", "--machine-type", "n1-highmem-8", "--store", STORE)
    answer = beambench("cost", gemma, *plan)
    assert (answer.code, answer.out) == (2, "")
    assert "--processes 1" in answer.err


@pytest.mark.parametrize(
    ("model_runs", "words"),
    [("server", "would share one model server"), ("elsewhere", "its model is served elsewhere")],
)
def test_a_workload_of_the_users_own_says_where_its_model_runs(keep, beambench, model_runs, words):
    config = local_run(definition={"workload": "mine:Served"}).config
    keep(local_run(1, config=config), local_run(2, config=config | {"model_runs": model_runs}))
    plan = ("--machine-type", "n1-standard-2", "--processes", "2", "--store", STORE)
    assert beambench("cost", "20260131T1001", *plan).code == 0
    answer = beambench("cost", "20260131T1002", *plan)
    assert (answer.code, answer.out) == (2, "")
    assert words in answer.err


def test_a_workload_of_the_users_own_says_what_its_model_computes_in(keep, beambench):
    config = local_run(definition={"workload": "mine:Rounded"}).config
    keep(local_run(1, config=config), local_run(2, config=config | {"precision": "bfloat16"}))
    assert beambench("cost", "20260131T1001", "--store", STORE).code == 0
    answer = beambench("cost", "20260131T1002", "--store", STORE)
    assert (answer.code, answer.out) == (2, "")
    assert "its speed in bfloat16 rests on avx512_bf16" in answer.err
    assert f"`beambench cost {local_run(1).run_id}`" in answer.err


@pytest.fixture
def acme(tmp_path, monkeypatch):
    """Install a distribution whose workload says what it computes in by these lines."""

    def write(body):
        hook = f"    @classmethod\n    def precision_of(cls, definition):\n        {body}\n\n"
        module = WORKLOAD.replace("    def model_handler", f"{hook}    def model_handler", 1)
        files = ACME | {"acme_benchmarks/workloads.py": module}
        monkeypatch.syspath_prepend(str(install(tmp_path / "site", files=files)))
        entry_points.cache_clear()

    yield write
    entry_points.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "acme_benchmarks"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('return "bfloat16"', "its speed in bfloat16 rests on avx512_bf16"),
        ('return definition["modle"]', "precision_of failed: KeyError: 'modle'"),
        ("raise SystemExit", "precision_of failed: SystemExit"),
        ("return []", "precision_of returned list, not the name of a precision"),
    ],
)
def test_a_workload_of_a_package_that_goes_wrong_is_one_line(keep, beambench, acme, body, problem):
    acme(body)
    keep(local_run(definition={"workload": "acme-square"}))
    answer = beambench("cost", local_run().run_id, "--store", STORE)
    assert answer.code == 2
    assert len(answer.err.splitlines()) == 1
    assert problem in answer.err


def test_a_price_sheet_is_one_file(folder, keep, cost, monkeypatch):
    added = folder / "sheets"
    shutil.copytree(SHEETS, added)
    ours = (added / "dataflow-us-central1.yaml").read_text("utf-8")
    assert "\nregion: us-central1\n" in ours
    (added / "europe.yaml").write_text(
        ours.replace("\nregion: us-central1\n", "\nregion: europe-west4\n").replace(
            "price: 0.056", "price: 0.112"
        )
    )
    monkeypatch.setattr("beambench.cost.prices.sheet.SHEETS", added)
    packaged_sheets.cache_clear()
    try:
        keep(local_run(), job(2, overrides=["cluster.region=europe-west4"]))
        here, there = cost(RESNET), cost(RESNET, "--region", "europe-west4")
        assert [report["sheet"]["region"] for report in (here, there)] == [
            "us-central1",
            "europe-west4",
        ]
        amounts = [
            float(report["cost"]["expected"]["lines"][0]["money"]) for report in (here, there)
        ]
        assert amounts[1] == pytest.approx(2 * amounts[0], abs=2e-6)
        assert cost(job(2).run_id)["sheet"]["region"] == "europe-west4"
    finally:
        packaged_sheets.cache_clear()


def test_threads_that_only_the_run_had_are_an_assumption(keep, cost):
    keep(local_run())
    threads = assumption(cost(RESNET), "threads_per_process")
    assert threads["origin"] == "assumed"
    assert "set `threads`" in threads["note"]
    own = assumption(cost(local_run().run_id), "threads_per_process")
    assert own["origin"] == "definition"


def test_what_the_check_of_memory_rests_on_is_said(keep, cost):
    keep(local_run())
    document = cost(RESNET)
    note = assumption(document, "memory_per_machine")["note"]
    assert "1 GB more for system and runner, of 7.5 GB" in note
    assert any("batches had at most 20 elements" in line for line in document["notes"])
    assert assumption(document, "disk_per_machine")["value"]["expected"] == 50


def test_one_copy_for_all_processes_needs_less_memory(keep, cost):
    keep(local_run(peak_gb=3.3, overrides=["threads=1", "model.large=true"]))
    document = cost(RESNET)
    assert assumption(document, "copies_of_model")["value"]["expected"] == 1
    expected = 2 * 3.3 - 170.5 / 1024
    assert assumption(document, "memory_per_machine")["value"]["expected"] == pytest.approx(
        expected
    )


def test_a_plan_without_disks_is_at_least(keep, beambench):
    keep(local_run(benchmark="overhead-noop", overrides=[]))
    arguments = ("--region", "us-central1", "--machine-type", "n1-standard-2", "--workers", "2")
    command = ("cost", "overhead-noop", *arguments, "--processes", "1", "--store", STORE)
    document = beambench(*command, "--elements", "100", "--json").document
    assert document["total"]["at_least"] is True
    assert document["unknown"] == ["disk: its usage is not known"]
    text = beambench(*command, "--elements", "100").out
    assert "at least" in text
    assert "unknown: disk: its usage is not known" in text


def test_settings_that_are_not_the_benchmarks_are_named(keep, cost):
    overrides = ["threads=1", "batching.max_batch_size=20"]
    keep(local_run(1, overrides=overrides), local_run(2))
    words = "the run had other settings than the benchmark: batching.max_batch_size"
    keep(local_run(3, overrides=overrides))
    assert words in cost(RESNET)["notes"]
    # Of a run that was named itself, its own definition counts.
    assert words not in cost("20260131T1001")["notes"]


def test_a_projection_with_ssds(keep, cost):
    # 6.953125 machine hours as above, their 347.65625 GB h × 0.000298 = 0.103601563
    keep(local_run(overrides=["threads=1", "cluster.disk_type=pd-ssd"]))
    document = cost(local_run().run_id, *EXACT, "--worker-start", "100")
    lines = {line["resource"]: line for line in document["cost"]["expected"]["lines"]}
    assert (lines["disk"]["money"], lines["ssd"]["money"]) == ("0.000000", "0.103602")
    assert document["total"]["expected"] == "1.067997"  # 0.983169098 - 0.018773438 + 0.103601563
    assert assumption(document, "disk_per_machine")["note"] == "SSD"


def test_what_is_measured_is_where_the_next_rate_lies_and_the_greatest_memory(keep, cost):
    rates = [4.0, 4.8, 4.9, 5.1, 5.2, 9.0]
    repeats = [
        costed_runs.repeat(
            index,
            {"throughput_elements": rate, "startup_time": 10.0, "peak_rss": (index + 1) * 2**28},
        )
        for index, rate in enumerate(rates)
    ]
    whole = {"value": 5.0, "unit": "1/s", "direction": "higher", "n": 6}
    keep(
        local_run(
            repeats=repeats,
            metrics={"throughput_elements": whole | {"ci_low": 4.5, "ci_high": 5.5}},
        )
    )
    document = cost(RESNET)
    rate = assumption(document, "process_throughput_here")["value"]
    assert rate["expected"] == 5.0
    assert (rate["low"], rate["high"]) == pytest.approx(prediction_interval(rates))
    assert rate["low"] < 4.0 < 9.0 < rate["high"]  # and not the interval of the median
    assert assumption(document, "memory_per_machine")["value"]["expected"] == 3.0  # 2 × 6 × 0.25


def test_the_elements_are_those_of_the_full_profile(keep, cost):
    keep(local_run(overrides=["threads=1", "profiles.full.limit=600"]))
    document = cost(local_run().run_id)
    assert (document["elements"], document["benchmark_elements"]) == (600, 600)


def test_what_the_run_was_is_noted(keep, cost):
    record = local_run(
        throughputs=[5.0, 6.0], input={"kind": "derived", "count": 200, "digest": None}
    )
    disturbed = record.repeats[0].model_copy(update={"noise": {"disturbed": True}})
    loop = disturbed.model_copy(update={"arm": "loop"})  # whose rate is not projected
    repeats = [disturbed, *record.repeats[1:]]
    keep(record.model_copy(update={"repeats": repeats, "references": [loop]}))
    notes = " ".join(cost(RESNET)["notes"])
    for words in (
        "random weights",
        "derived input",
        "local",
        "disturbed 1 of 2 repeats",
        "fewer than 3",
    ):
        assert words in notes


def test_what_was_disturbed_and_repeated_does_not_count(keep, cost):
    record = local_run(throughputs=[1.0, 5.0])
    first = record.repeats[0].model_copy(
        update={"excluded": "repeat 2 counts in its place", "noise": {"disturbed": True}}
    )
    keep(record.model_copy(update={"repeats": [first, *record.repeats[1:]]}))
    document = cost(RESNET)
    assert assumption(document, "process_throughput_here")["value"]["expected"] == 5.0
    assert "disturbed" not in " ".join(document["notes"])


def test_variant_of_the_project_file(folder, keep, cost):
    (folder / "beambench.yaml").write_text("variant: tuned-channels-last\nrepeats: 6\n")
    keep(local_run(1, variant="tuned-channels-last"), local_run(2))
    assert cost(RESNET)["variant"] == "tuned-channels-last"


def test_a_rate_that_was_read_elsewhere_is_named(keep, beambench):
    keep(local_run())
    answer = beambench("cost", RESNET, "--spot", "--store", STORE)
    assert "price of FlexRS vCPU: https://cloud.google.com/dataflow/pricing, second" in answer.out


def test_as_text(keep, beambench):
    keep(local_run())
    answer = beambench("cost", RESNET, *EXACT, "--worker-start", "100", "--store", STORE)
    assert (answer.code, answer.err) == (0, "")
    shown = " ".join(answer.out.split())
    assert f"projected from run {local_run().run_id} (profile local, n = 3)" in shown
    assert "75 × n1-standard-2 (2 vCPU, 7.5 GB) in us-central1, batch, 2 × 1" in answer.out
    # After 4, 5 and 6/s the next one has with 95 % at most exp(1.5958 + 4.303 × 0.20308 × √(4/3)) =
    # 13.529/s. Low: ⌈50,000 ÷ 150⌉ ÷ (13.529 × 0.5 × 0.8) × 1.25 = 77.149 s of work and 125 s
    # before it, × 75 machines × (0.112 + 0.0266775 + 0.0027) an hour, and no shuffle.
    assert "cost of 50,000 elements 0.5954 USD 0.9832 USD" in shown
    assert "VCPU_PER_HR_BATCH" in answer.out
    assert "parallel efficiency" in answer.out
    assert "dataflow-us-central1, 2026-10-01" in answer.out
    assert "https://cloud.google.com/dataflow/pricing" in shown


@pytest.mark.real
def test_a_run_that_really_ran(folder, beambench, cost):
    ran = beambench("run", "overhead-noop", "--profile", "smoke", "--store", STORE, "--json")
    assert ran.code == 0, ran.err
    (folder / "this.yaml").write_text(THIS)
    document = cost(
        *("overhead-noop", "--sheet", "this.yaml", "--machine-type", "this", "--workers", "1"),
        *("--processes", "1", "--scale", "1", "--stragglers", "1", "--worker-start", "0"),
    )
    assert document["run_id"] == ran.document["run_id"]
    rate = ran.document["metrics"]["throughput_elements"]["value"]
    assert document["projection"]["throughput_elements"]["expected"] == pytest.approx(rate)


# --- jobs -----------------------------------------------------------------------------------------


def test_a_job_by_hand(keep, cost):
    # 25 machine hours as in tests/cost/prices/test_estimate.py: 3.5344375, and 2 GB × 0.011 of
    # shuffle.
    keep(job())
    document = cost(job().run_id)
    assert (document["kind"], document["projection"]) == ("usage", None)
    assert document["total"]["expected"] == "3.556438"
    assert document["total"]["at_least"] is False
    assert document["per_thousand"]["expected"] == "0.071129"
    assert document["benchmark_total"]["expected"] == "3.556438"
    assert assumption(document, "gpu_seconds")["origin"] == "definition"


def test_the_cheapest_the_middle_and_the_dearest_of_several_jobs(keep, cost):
    keep(job(hours=[30, 10, 20]))
    document = cost(job().run_id)
    # 0.1413775 a machine hour, and 0.022.
    totals = {bound: document["total"][bound] for bound in ("low", "expected", "high")}
    assert totals == {"low": "1.435775", "expected": "2.849550", "high": "4.263325"}
    each = {bound: document["per_thousand"][bound] for bound in ("low", "expected", "high")}
    assert each == {"low": "0.028716", "expected": "0.056991", "high": "0.085266"}
    assert document["n"] == 3


def test_the_cost_of_other_elements_is_in_proportion(keep, cost):
    keep(job(elements=1000))
    document = cost(job().run_id, "--elements", "500")
    assert document["elements"] == 1000
    assert document["per_thousand"]["expected"] == "3.556438"
    assert document["benchmark_total"]["expected"] == "1.778219"


def test_what_the_service_did_not_tell_is_unknown(keep, cost, beambench):
    keep(job(usage={"memory_gb_seconds": None, "shuffle_gb": None}))
    document = cost(job().run_id)
    assert document["total"]["at_least"] is True
    assert document["unknown"] == [
        "memory: its usage is not known",
        "shuffle: its usage is not known",
    ]
    # 50 vCPU h × 0.056 + 1,250 GB h × 0.000054
    assert document["total"]["expected"] == "2.867500"
    assert "at least 2.87 USD" in beambench("cost", job().run_id, "--store", STORE).out


def test_gpu_time_that_the_service_did_not_tell_is_not_free(keep, cost):
    t4 = "pytorch-image-classification-resnet152-t4"
    keep(job(1, benchmark=t4), job(2, benchmark=t4, usage={"gpu_seconds": 25 * 3600.0}))
    assert "gpu nvidia-tesla-t4: its usage is not known" in cost("20260131T1001")["unknown"]
    document = cost("20260131T1002")
    assert document["total"]["expected"] == "14.056438"  # 3.556438 + 25 × 0.42
    other = cost("20260131T1002", "--gpu", "nvidia-l4")
    assert other["total"]["expected"] == "20.356438"  # 3.556438 + 25 × 0.672
    assert assumption(other, "gpu")["origin"] == "asked"


def test_a_job_that_failed_has_cost_money_too(keep, cost):
    failed = job().repeats[0].model_copy(update={"status": "failed"})
    keep(job(status="failed", repeats=[failed.model_dump()]))
    document = cost(job().run_id)
    assert document["total"]["expected"] == "3.556438"
    assert document["per_thousand"] is None
    assert document["notes"] == ["repeat 0 failed, and cost 3.5564 USD"]


def test_a_job_that_failed_does_not_stand_for_those_that_succeeded(keep, cost):
    good, bad = job(hours=[20, 1]).repeats
    broken = bad.model_copy(update={"status": "failed"})
    keep(job(repeats=[good.model_dump(), broken.model_dump()]))
    document = cost(job().run_id)
    assert (document["n"], document["total"]["low"]) == (1, "2.849550")
    assert document["notes"] == ["repeat 1 failed, and cost 0.1634 USD"]


def test_the_cost_of_a_job_that_failed_is_at_least_where_a_part_is_unknown(keep, cost):
    good, bad = job(hours=[20, 1], usage={"shuffle_gb": None}).repeats
    broken = bad.model_copy(update={"status": "timed_out"})
    keep(job(repeats=[good.model_dump(), broken.model_dump()]))
    assert cost(job().run_id)["notes"] == ["repeat 1 timed out, and cost at least 0.1414 USD"]


def test_a_job_that_the_service_told_nothing_of_is_named(keep, cost):
    good, untold = job(hours=[20, 1]).repeats
    silent = untold.model_copy(update={"usage": None})
    keep(job(repeats=[good.model_dump(), silent.model_dump()]))
    document = cost(job().run_id)
    assert document["n"] == 1
    assert document["notes"] == ["repeat 1 succeeded, and the service told nothing of what it used"]


def test_the_cost_of_the_benchmark_from_a_job_of_other_elements_is_an_assumption(keep, cost):
    keep(job(1, elements=1000), job(2))
    document = cost("20260131T1001")
    assert document["benchmark_total"]["expected"] == "177.821875"
    assert "in proportion" in assumption(document, "elements")["note"]
    assert all(each["name"] != "elements" for each in cost("20260131T1002")["assumptions"])


def test_a_job_that_was_unlike_the_benchmark_says_so(keep, cost):
    keep(job(input={"kind": "derived", "count": 200, "digest": None}))
    assert any("derived input" in note for note in cost(job().run_id)["notes"])


def test_prices_of_another_region_than_the_jobs_are_pointed_out(keep, cost):
    keep(job(overrides=["cluster.region=europe-west1"]))
    document = cost(job().run_id, "--region", "us-central1")
    assert document["notes"] == ["the job ran in europe-west1, the prices are those of us-central1"]


def test_a_machine_whose_gpu_is_part_of_it(keep, cost):
    def resolved(machine):
        overrides = [f"cluster.machine_type={machine}"]
        return job(overrides=overrides, usage={"gpu_seconds": 3600.0})

    keep(resolved("g2-standard-4"))
    lines = cost(job().run_id)["cost"]["expected"]["lines"]
    assert [line["money"] for line in lines if line["resource"] == "gpu nvidia-l4"] == ["0.672000"]


def test_a_streaming_job(keep, cost):
    streaming = "pytorch-sentiment-distilbert-streaming"
    counted = {"streaming_gb": 4.0, "shuffle_gb": None}
    keep(job(benchmark=streaming, hours=[10], usage=counted))
    document = cost(job().run_id)
    assert (document["mode"], document["total"]["expected"]) == ("streaming", "1.745678")


def test_a_job_on_a_sheet_of_ones_own(folder, keep, cost):
    (folder / "mine.yaml").write_text(THIS.replace("this:", "n1-standard-2:"))
    keep(job())
    document = cost(job().run_id, "--sheet", "mine.yaml")
    # 50 vCPU hours of machines with 2 are 25 hours × 0.36; a shuffle service has no price there.
    assert document["total"]["expected"] == "9.000000"
    assert document["unknown"] == ["shuffle: sheet this-machine has no rate of shuffle for batch"]


@pytest.mark.parametrize("amount", [-1.0, float("inf"), float("nan")])
def test_usage_is_a_number_and_not_negative(amount):
    with pytest.raises(ValidationError, match="vcpu_seconds"):
        job(usage={"vcpu_seconds": amount})


# --- what is asked for ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--scale", "0"),
        ("--scale", "1e-320"),
        ("--scale", "nan"),
        ("--parallel-efficiency", "-1"),
        ("--stragglers", "1e308"),
        ("--worker-start", "inf"),
        ("--worker-start", "1e308"),
        ("--elements", "0"),
        ("--elements", "1" + 320 * "0"),
        ("--workers", "1" + 320 * "0"),
        ("--processes", "900000000"),
    ],
)
def test_numbers_that_no_plan_has_are_refused(keep, beambench, option, value):
    keep(local_run())
    answer = beambench("cost", RESNET, option, value, "--store", STORE)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"beambench: {option}")
    assert len(answer.err.splitlines()) == 1


# --- the document ---------------------------------------------------------------------------------


def test_the_schema_of_the_document_is_current():
    schema = CostReport.model_json_schema(mode="serialization")
    assert json.loads(SCHEMA.read_text("utf-8")) == schema, (
        "python -m beambench.cost.report > docs/cost.schema.json"
    )


def test_old_prices_are_pointed_out(keep):
    import datetime

    from beambench.cost.request import CostRequest
    from beambench.definition.library import Library
    from beambench.experiments.cost import price_run
    from beambench.store import RunStore

    keep(local_run())

    def notes(date):
        today = datetime.date.fromisoformat(date)
        with RunStore.open(STORE) as runs:
            return price_run(CostRequest(RESNET, today=today), Library(), runs)

    assert notes("2027-03-01").sheet.age_days == 151
    assert not any("days old" in note for note in notes("2027-03-01").notes)
    assert any("212 days old" in note for note in notes("2027-05-01").notes)
