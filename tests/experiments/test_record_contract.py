"""The run record as scripts of users read it: the names and shapes that they rely on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from beambench.cli.main import execute
from beambench.record.run_record import MetricValue, Repeat, RunRecord, Verification
from beambench.store import RunStore, sqlite_url
from fake_workers import crashed, gave_up, measured

pytestmark = pytest.mark.usefixtures("workers", "scratch")

# What scripts were promised. A key may be added below, none may be renamed or go.
PROMISED = {
    "schema_version",
    "run_id",
    "benchmark",
    "variant",
    "profile",
    "definition_hash",
    "runner",
    "status",
    "started_at",
    "finished_at",
    "input",
    "model",
    "config",
    "repeats",
    "metrics",
    "verification",
    "noise",
    "environment",
    "warnings",
}
ADDED = {"beambench_version", "choices", "command", "error", "imported", "labels", "references"}
PROMISED_PARTS = {
    "runner": {"requested", "executed"},
    "input": {"kind", "count", "digest"},
    "model": {"weights", "digest"},
    "verification": {
        "elements_in",
        "elements_out",
        "elements_failed",
        "duplicates",
        "digest",
        "reference_agreement",
    },
    "repeat": {"metrics", "verification", "noise", "status"},
    "metric": {"value", "unit", "direction", "n", "ci_low", "ci_high"},
}
ABSENT_IF_UNKNOWN = {
    *("late_loads", "steady_loads", "weights_cached", "excluded"),
    *("elements_compared", "detectable_share", "label_comparison"),
}
"""Keys of a repeat, and of its verification."""

ADDED_PARTS = {
    "runner": {"implementation", "options", "counters"},
    "input": {"bytes", "source", "labels"},
    "model": {"name", "size_mib"},
    "verification": {
        "missing",
        "reference",
        "stock",
        "failed",
        "failed_listed",
        "passed",
        "problems",
        "warnings",
        "unverified",
    },
    "repeat": {
        "index",
        "arm",
        "started_at",
        "finished_at",
        "devices",
        "batch_sizes",
        "batches_retried",
        "retry_cause",
        "runner",
        "usage",
        "beam_metrics",
        "cross_check",
        "element_flows",
        "output_rows",
        "error",
    },
    "metric": set(),
}
NUMBER = (int, float)
TEXT_OR_NULL = (str, type(None))
SHAPE = {
    "schema_version": int,
    "run_id": str,
    "benchmark": str,
    "variant": str,
    "profile": str,
    "definition_hash": str,
    "runner": dict,
    "status": str,
    "started_at": str,
    "finished_at": str,
    "input": dict,
    "model": dict,
    "config": dict,
    "repeats": list,
    "metrics": dict,
    "verification": dict,
    "noise": dict,
    "environment": dict,
    "warnings": list,
    "choices": list,
    "references": list,
    "labels": dict,
    "command": list,
    "error": TEXT_OR_NULL,
    "imported": (dict, type(None)),
    "beambench_version": str,
    "runner.requested": str,
    "runner.executed": TEXT_OR_NULL,
    "input.kind": str,
    "input.count": int,
    "input.digest": TEXT_OR_NULL,
    "model.weights": str,
    "model.digest": TEXT_OR_NULL,
    "verification.elements_in": int,
    "verification.elements_out": int,
    "verification.elements_failed": int,
    "verification.duplicates": int,
    "verification.digest": TEXT_OR_NULL,
    "verification.reference_agreement": (*NUMBER, type(None)),
}
UTC = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"


@pytest.fixture
def url(tmp_path) -> str:
    return sqlite_url(tmp_path / "runs.db")


@pytest.fixture
def beambench(url, capsys) -> Callable[..., tuple[int, Any]]:
    """Run a command line with --json; return its exit code and its document."""

    def call(*arguments: str) -> tuple[int, Any]:
        capsys.readouterr()
        code = execute([*arguments, "--store", url, "--json"])
        printed = capsys.readouterr().out
        return code, json.loads(printed, parse_constant=pytest.fail) if printed else None

    return call


def run(*options: str) -> list[str]:
    return ["run", "overhead-noop", "--profile", "smoke", *options]


def check_metrics(metrics: dict[str, Any]) -> None:
    assert metrics
    for name, metric in metrics.items():
        assert re.fullmatch(r"[a-z0-9_]+", name)
        assert set(metric) == PROMISED_PARTS["metric"] | ADDED_PARTS["metric"]
        assert isinstance(metric["value"], float)
        assert isinstance(metric["n"], int)
        assert metric["unit"] in ("s", "1/s", "B/s", "B", "1")
        assert metric["direction"] in ("higher", "lower", "neither")


def check_document(document: dict[str, Any]) -> None:
    assert set(document) == PROMISED | ADDED
    for part in ("runner", "input", "model", "verification"):
        known = set(document[part]) - ABSENT_IF_UNKNOWN
        assert known == PROMISED_PARTS[part] | ADDED_PARTS[part], part
    for path, types in SHAPE.items():
        value = document
        for key in path.split("."):
            value = value[key]
        assert isinstance(value, types), path
    assert document["schema_version"] == 2
    assert document["status"] in ("succeeded", "failed", "cancelled", "timed_out")
    assert re.fullmatch(r"[0-9a-f]{64}", document["definition_hash"])
    assert re.fullmatch(UTC, document["started_at"])
    assert re.fullmatch(UTC, document["finished_at"])
    for repeat in [*document["repeats"], *document["references"]]:
        assert set(repeat) - ABSENT_IF_UNKNOWN == PROMISED_PARTS["repeat"] | ADDED_PARTS["repeat"]
        if repeat["verification"] is not None:
            keys = set(repeat["verification"]) ^ set(document["verification"])
            assert keys <= ABSENT_IF_UNKNOWN


def test_a_run_prints_the_record_that_was_promised(beambench):
    code, document = beambench(*run("--repeats", "2", "--reference", "loop"))
    assert code == 0
    check_document(document)
    check_metrics(document["metrics"])
    assert [each["arm"] for each in document["repeats"]] == ["pipeline", "pipeline"]
    assert [reference["arm"] for reference in document["references"]] == [
        "loop",
        "ceiling",
        "ceiling",
        "loop",
    ]
    for repeat in [*document["repeats"], *document["references"]]:
        check_metrics(repeat["metrics"])
        assert repeat["status"] == "succeeded"
    assert document["benchmark"] == "overhead-noop"
    assert (document["variant"], document["profile"]) == ("stock", "smoke")
    assert document["runner"]["requested"] == document["runner"]["executed"] == "direct"
    assert document["verification"]["reference_agreement"] == 1.0
    assert {"throughput_elements", "pipeline_efficiency", "ceiling_efficiency"} <= set(
        document["metrics"]
    )


@pytest.mark.parametrize(("repeats", "known"), [(5, False), (6, True)])
def test_intervals_are_null_below_six_repeats(beambench, workers, repeats, known):
    workers.script("pipeline", *[measured(rate=10.0 + number) for number in range(repeats)])
    _, document = beambench(*run("--repeats", str(repeats)))
    rate = document["metrics"]["throughput_elements"]
    ends = (pytest.approx(10.0, rel=1e-3), pytest.approx(15.0, rel=1e-3))
    assert (rate["ci_low"], rate["ci_high"]) == (ends if known else (None, None))
    assert rate["n"] == repeats


@pytest.mark.parametrize(
    ("task", "response", "status", "code"),
    [
        ("pipeline", crashed(), "failed", 3),
        ("pipeline", crashed("timed_out", "timed out"), "timed_out", 124),
        ("pipeline", crashed("cancelled", "cancelled"), "cancelled", 130),
        ("prepare", crashed(), "failed", 3),
        ("prepare", crashed("timed_out", "timed out"), "timed_out", 124),
        ("reference", crashed("cancelled", "cancelled"), "cancelled", 130),
    ],
)
def test_a_run_that_went_wrong_prints_its_record_too(
    beambench, workers, task, response, status, code
):
    workers.script(task, response)
    answer, document = beambench(*run())
    assert answer == code
    check_document(document)
    assert document["status"] == status
    assert document["error"]
    assert document["metrics"] == {}  # what has no value is absent
    _, shown = beambench("show", document["run_id"])
    assert shown == document


def test_wrong_usage_prints_no_record_and_stores_none(beambench, workers, url):
    workers.script("prepare", gave_up("prepare", "usage", "labels none of the elements"))
    assert beambench(*run()) == (2, None)
    with RunStore.open(url) as store:
        assert store.benchmarks() == []


def test_show_prints_what_run_printed(beambench):
    _, document = beambench(*run("--label", "team=naïve 🙂", "--reference", "loop"))
    _, shown = beambench("show", document["run_id"])
    assert shown == document
    assert list(shown) == list(document)
    _, by_prefix = beambench("show", document["run_id"][:20])
    assert by_prefix == document


def test_several_names_print_an_array(beambench):
    code, documents = beambench(*run("overhead-noop"))
    assert code == 0
    assert isinstance(documents, list)
    assert len({document["run_id"] for document in documents}) == 2
    for document in documents:
        check_document(document)
        assert beambench("show", document["run_id"])[1] == document


def test_the_schema_has_no_key_that_this_test_does_not_know():
    assert set(RunRecord.model_fields) == PROMISED | ADDED
    for model, part in (
        (Repeat, "repeat"),
        (Verification, "verification"),
        (MetricValue, "metric"),
    ):
        known = PROMISED_PARTS[part] | ADDED_PARTS[part]
        assert set(model.model_fields) - ABSENT_IF_UNKNOWN == known, part
