from __future__ import annotations

import pytest

from beambench.definition.library import Library
from beambench.publishers import beam_format
from beambench.publishers.base import make_client
from beambench.record.run_record import RunRecord
from costed_runs import job
from published_runs import LABEL, repeat, run_record


def test_rows_are_those_of_beams_suite():
    rows = beam_format.rows(run_record())
    assert [tuple(row) for row in rows] == [
        ("test_id", "timestamp", "metric", "value", "job_id")
    ] * 11
    assert {row["test_id"] for row in rows} == {"20260131T100001Z-00000001"}
    assert {row["timestamp"] for row in rows} == {"2026-01-31T10:00:01.250Z"}
    assert {row["metric"]: row["value"] for row in rows} == {
        f"{LABEL}_num_inferences": 50,
        f"{LABEL}_count_inference_request_batch_size": 4,
        f"{LABEL}_max_inference_request_batch_size": 20,
        f"{LABEL}_min_inference_request_batch_size": 1,
        f"{LABEL}_sum_inference_request_batch_size": 50,
        f"{LABEL}_mean_inference_request_batch_size": 12.5,
        f"{LABEL}_count_inference_batch_latency_micro_secs": 4,
        f"{LABEL}_max_inference_batch_latency_micro_secs": 900,
        f"{LABEL}_min_inference_batch_latency_micro_secs": 100,
        f"{LABEL}_sum_inference_batch_latency_micro_secs": 2001,
        f"{LABEL}_mean_inference_batch_latency_micro_secs": 500.25,
    }


@pytest.mark.parametrize(
    ("rates", "published"),
    [((10.0,), 0), ((10.0, 30.0), 0), ((30.0, 10.0, 20.0), 2), ((4.0, 1.0, 3.0, 2.0), 3)],
)
def test_the_repeat_with_the_median_throughput_is_published(rates, published):
    repeats = [repeat(index, rate) for index, rate in enumerate(rates)]
    written = beam_format.published_repeat(run_record(repeats=repeats))
    assert written is not None
    assert written.index == published


def test_a_repeat_that_does_not_count_is_not_published():
    repeats = [repeat(0, 2.0, excluded="repeat 3 counts in its place")]
    repeats += [repeat(1, 8.0), repeat(2, 9.0)]
    published = beam_format.published_repeat(run_record(repeats=repeats))
    assert published is not None
    assert published.index == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"status": "failed"},
        {"repeats": []},
        {"repeats": [repeat(status="failed")]},
        {"repeats": [repeat(beam_metrics={})]},
    ],
)
def test_what_has_no_beam_metrics_has_no_rows(changed):
    assert beam_format.rows(run_record(**changed)) == []


def test_every_step_of_a_pipeline_with_several_has_rows():
    several = {"RunInference": _entry("A/x"), "Second": _entry("B/y")}
    record = run_record(repeats=[repeat(beam_metrics=several)])
    assert [row["metric"] for row in beam_format.rows(record)] == ["N_a/x_m", "N_b/y_m"]


def _entry(step: str) -> dict[str, object]:
    return {"m": {"namespace": "N", "step": step, "value": 1}}


def test_an_empty_distribution_has_no_mean():
    empty = {"m": {"namespace": "N", "step": "s", "count": 0, "sum": 0, "min": 0, "max": 0}}
    record = run_record(repeats=[repeat(beam_metrics=empty)])
    assert "N_s_mean_m" not in [row["metric"] for row in beam_format.rows(record)]


@pytest.mark.real
@pytest.mark.parametrize(
    "step",
    ["Run Inference/x", "step_1: Read", ":_x_:", "Stepping", "A step", "ÄB", "", "RunInference"],
)
def test_steps_are_written_as_beam_writes_them(step):
    utils = pytest.importorskip("apache_beam.testing.load_tests.load_test_metrics_utils")
    assert beam_format.parse_step(step) == utils.parse_step(step)


@pytest.mark.real
def test_columns_are_those_of_beams_table():
    utils = pytest.importorskip("apache_beam.testing.load_tests.load_test_metrics_utils")
    assert [
        {"name": name, "field_type": kind, "mode": mode} for name, kind, mode in beam_format.SCHEMA
    ] == utils.SCHEMA


def test_a_job_of_a_service_names_itself():
    record: RunRecord = run_record(repeats=[repeat(runner={"job_id": "2026-01-31_x"})])
    assert {row["job_id"] for row in beam_format.rows(record)} == {"2026-01-31_x"}


NAMES_IN_USE = {
    "pytorch-image-classification-resnet101": (
        "torch_inference_imagenet_results_resnet101",
        "torch_inference_imagenet_resnet101",
    ),
    "pytorch-image-classification-resnet152": (
        "torch_inference_imagenet_results_resnet152",
        "torch_inference_imagenet_resnet152",
    ),
    "pytorch-image-classification-resnet152-t4": (
        "torch_inference_imagenet_results_resnet152_tesla_t4",
        "torch_inference_imagenet_resnet152_tesla_t4",
    ),
    "pytorch-language-modeling-bert-base": ("torch_language_modeling_bert_base_uncased",) * 2,
    "pytorch-language-modeling-bert-large": ("torch_language_modeling_bert_large_uncased",) * 2,
    "pytorch-sentiment-distilbert-batch": ("torch_sentiment_distilbert_base_uncased",) * 2,
    "vllm-gemma-2b-batch": ("gemma_vllm_batch",) * 2,
}


@pytest.mark.parametrize("name", Library().names())
def test_every_benchmark_has_targets_in_both_formats(name):
    publish = Library().resolve(name).definition.publish
    bigquery, influxdb = (
        make_client(publisher).targets(publish.section(publisher) or {}, name)
        for publisher in ("bigquery", "influxdb")
    )
    assert list(bigquery) == list(influxdb) == ["beam", "beambench_runs", "beambench_metrics"]
    assert bigquery["beam"]["dataset"] == "beam_run_inference"
    if name in NAMES_IN_USE:
        table, measurement = NAMES_IN_USE[name]
        assert bigquery["beam"]["table"] == table
        assert influxdb["beam"]["measurement"] == measurement


def test_metrics_of_a_service_have_bare_names():
    service = {"namespace": "", "step": "", "value": 12.5}
    metrics = {**repeat()["beam_metrics"], "TotalVcpuTime": service, "JobRuntimeSeconds": service}
    record = run_record(repeats=[repeat(beam_metrics=metrics, runner={"job_id": "j-1"})])
    rows = {row["metric"]: row for row in beam_format.rows(record)}
    assert rows["TotalVcpuTime"]["value"] == 12.5
    assert rows[f"{LABEL}_num_inferences"]["value"] == 50
    assert {row["job_id"] for row in rows.values()} == {"j-1"}
    assert "EstimatedCost" not in rows


def test_what_a_job_cost_is_a_row_where_all_of_it_is_known():
    def cost(**usage):
        known = job(usage=usage)
        measured = known.repeats[0].model_copy(update={"beam_metrics": repeat()["beam_metrics"]})
        rows = beam_format.rows(known.model_copy(update={"repeats": [measured]}))
        return [row["value"] for row in rows if row["metric"] == "EstimatedCost"]

    # 25 hours of 2 vCPUs, 7.5 GB and a disk of 50 GB, and 2 GB through the shuffle:
    # 50 × 0.056 + 187.5 × 0.003557 + 1250 × 0.000054 + 2 × 0.011
    assert cost() == [pytest.approx(2.8 + 0.6669375 + 0.0675 + 0.022)]
    assert cost(vcpu_seconds=None) == []
    assert cost(shuffle_gb=None) == []
