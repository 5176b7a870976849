from __future__ import annotations

import csv
import errno
import io
import json
import os
from pathlib import Path

import pytest

from beambench.errors import RunError, UsageError
from beambench.experiments import exchange
from beambench.presentation import exports
from beambench.record.run_record import SCHEMA_VERSION
from published_runs import PUBLISH, repeat, run_record

NOW = "2026-11-22T10:00:00Z"
LABEL = "BeamML_PyTorch_pytorchruninference/beamml_runinference"


def rows_of_the_old_suite(test_id="5f0c", day="2024-03-01", job_id="job"):
    """Rows as Beam's suite has written them."""
    values = {
        f"{LABEL}_mean_inference_batch_latency_micro_secs": 250_000.0,
        f"{LABEL}_mean_inference_request_batch_size": 12.5,
        f"{LABEL}_mean_load_model_latency_milli_secs": 5200.0,
        f"{LABEL}_num_inferences": 50_000.0,
        "JobRuntimeSeconds": 900.5,
        "AvgThroughputElements": 61.5,
        "AvgThroughputBytes": 7e6,
        "EstimatedCost": 0.53,
    }
    return [
        {
            "test_id": test_id,
            "timestamp": f"{day} 08:00:00.5 UTC",
            "metric": label,
            "value": value,
            "job_id": job_id,
        }
        for label, value in values.items()
    ]


def imported(rows, **options):
    return exchange.from_rows(rows, "bench", "a table", NOW, **options)


def test_a_run_of_the_old_suite():
    imports = imported(rows_of_the_old_suite(), model="resnet101")
    (record,) = imports.records
    assert (record.run_id, record.benchmark, record.variant) == ("beam-5f0c", "bench", "stock")
    assert record.started_at == record.finished_at == "2024-03-01T08:00:00.500000Z"
    assert record.runner.requested == "dataflow"
    assert record.model.name == "resnet101"
    assert record.verification.unverified == "imported from rows that hold no proof of the work"
    assert record.imported is not None
    assert record.imported.model_dump() == {
        "source": "a table",
        "format": "beam",
        "imported_at": NOW,
    }
    assert {name: (metric.value, metric.unit) for name, metric in record.metrics.items()} == {
        "inference_batch_latency_mean": (0.25, "s"),
        "inference_batch_size_mean": (12.5, "1"),
        "model_load_latency_mean": (5.2, "s"),
        "run_time": (900.5, "s"),
        "beam_average_elements": (61.5, "1"),
        "beam_average_bytes": (7e6, "B"),
        "beam_estimated_cost": (0.53, "USD"),
    }
    assert record.config["beam_rows"][f"{LABEL}_num_inferences"] == 50_000.0
    assert imports.left_out == []


def test_runs_are_told_apart_by_test_id_and_ordered_by_time():
    rows = [*rows_of_the_old_suite("b", "2024-03-02"), *rows_of_the_old_suite("a", "2024-03-01")]
    assert [record.run_id for record in imported(rows).records] == ["beam-a", "beam-b"]


@pytest.mark.parametrize(
    "changed",
    [
        {"value": None},
        {"value": "NaN"},
        {"value": "much"},
        {"timestamp": "yesterday"},
        {"timestamp": None},
        {"test_id": ""},
        {"metric": None},
        {"timestamp": "0001-01-01T00:00:00+01:00"},
        {"timestamp": 1e20},
        {"value": 10**400},
        {"test_id": "\ud800"},
        {"metric": "\udfff"},
    ],
)
def test_rows_that_cannot_be_used_are_counted(changed):
    record = imported([*rows_of_the_old_suite(), rows_of_the_old_suite()[0] | changed])
    assert len(record.records) == 1
    assert record.left_out == ["1 rows without a test_id, time, metric or finite value"]


def test_rows_of_beambench_itself_are_left_out():
    record = imported(rows_of_the_old_suite("20260131T100001Z-00000001"))
    assert record.records == []
    assert record.left_out == ["1 runs of beambench itself: import their records instead"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2024-03-01 08:00:00 UTC", "2024-03-01T08:00:00+00:00"),
        ("2024-03-01T08:00:00.25Z", "2024-03-01T08:00:00.250000+00:00"),
        ("2024-03-01 08:00:00.123456 UTC", "2024-03-01T08:00:00.123456+00:00"),
        ("2024-03-01T10:00:00+02:00", "2024-03-01T10:00:00+02:00"),
        (1709280000, "2024-03-01T08:00:00+00:00"),
        ("1709280000.5", "2024-03-01T08:00:00.500000+00:00"),
    ],
)
def test_times_in_every_form_that_they_are_exported_in(value, text):
    assert exchange.time_of_row(value).isoformat() == text


@pytest.mark.parametrize("form", ["lines", "list", "csv"])
def test_files_of_rows(tmp_path, form):
    rows = rows_of_the_old_suite()
    path = tmp_path / ("rows.csv" if form == "csv" else "rows.json")
    if form == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        path.write_text(text.getvalue())
    elif form == "lines":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        path.write_text(json.dumps(rows))
    (record,) = exchange.read_file(path, "bench", NOW).records
    expected = imported(rows).records[0]
    assert record.metrics == expected.metrics
    assert record.started_at == expected.started_at


def test_what_is_exported_as_json_comes_back_marked(tmp_path):
    records = [run_record(1), run_record(2, repeats=[repeat()])]
    path = tmp_path / "runs.json"
    path.write_text(exports.as_json(records), "utf-8")
    contents = exchange.read_file(path, None, NOW)
    targets = {name: PUBLISH[name] for name in ("bigquery", "influxdb")}
    config = {"definition": {"publish": targets}}
    for before, after in zip(records, contents.records, strict=True):
        assert after == before.model_copy(update={"config": config, "imported": after.imported})
    assert {record.imported.source for record in contents.records} == {str(path)}
    again = tmp_path / "again.json"
    again.write_text(exports.as_json(contents.records), "utf-8")
    assert exchange.read_file(again, None, NOW).records == contents.records


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds neither records nor rows"),
        ("[]", "holds neither records nor rows"),
        ("[1]", ":1: expected an object, not a value of type int"),
        ("[" * 900 + "]" * 900, ":1: expected an object, not a value of type list"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ("\0\0", "is not text: it holds NUL characters"),
        ("[\n  {\n", ": not JSON: Expecting property name"),
        ('{"a": 1}\n{"a": "cut', ":2: not JSON: Unterminated string"),
        ('{"run_id": "x", "schema_version": 99}', "99 is newer than this beambench knows"),
        ('{"run_id": "x", "schema_version": 99}', "upgrade beambench"),
        ('{"a": 1}', "neither records of beambench"),
        ('{"run_id": "x"}', ":1: not a run record: "),
        ('{"a": 1}\n{', ":2: not JSON: "),
        ('{"metric": "m", "test_id": "t", "value": 1}', "say whose with --benchmark NAME"),
    ],
)
def test_files_that_are_neither(tmp_path, text, problem):
    path = tmp_path / "some.json"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        exchange.read_file(path, None, NOW)
    assert str(path) in str(caught.value)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("metric,test_id\n" + "m" * 131_073 + ",t\n", "not CSV: field larger than field limit"),
        ('metric,test_id\nm,"t', "not CSV: unexpected end of data"),
        ("metric,test_id\nm,\0\n", "is not text: it holds NUL characters"),
        ("metric,test_id\n", "holds neither records nor rows"),
        (exports.as_csv([run_record()]), "export it with --format json"),
    ],
)
def test_csv_files_that_are_neither(tmp_path, text, problem):
    path = tmp_path / "some.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=problem) as caught:
        exchange.read_file(path, "bench", NOW)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_csv_rows_with_more_or_fewer_cells_are_counted(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(
        "timestamp,metric,test_id,job_id,value\n"
        "2024-03-01,a,t,,1,more\n"
        "2024-03-01,a,t,,2\n"
        "2024-03-01,a,t\n"
    )
    records = exchange.read_file(path, "bench", NOW)
    assert [record.config["beam_rows"] for record in records.records] == [{"a": 2.0}]
    assert records.left_out == ["2 rows without a test_id, time, metric or finite value"]


def test_a_line_of_json_may_hold_line_separators_of_unicode(tmp_path):
    record = run_record(benchmark="a\u2028b\u0085c")
    path = tmp_path / "lines.json"
    document = json.dumps(record.model_dump(mode="json"), ensure_ascii=False)
    path.write_text(f"{document}\n\n{document}\n", "utf-8")
    records = exchange.read_file(path, None, NOW)
    assert [read.benchmark for read in records.records] == [record.benchmark] * 2


@pytest.mark.parametrize("version", [str(SCHEMA_VERSION + 1), SCHEMA_VERSION + 1.0])
def test_a_schema_version_that_is_no_integer_is_refused(tmp_path, version):
    path = tmp_path / "run.json"
    path.write_text(json.dumps(run_record().model_dump(mode="json") | {"schema_version": version}))
    with pytest.raises(UsageError, match="not a run record: schema_version: "):
        exchange.read_file(path, None, NOW)


@pytest.mark.parametrize(
    "imported", [None, {"source": "s", "format": "record", "imported_at": NOW}]
)
@pytest.mark.parametrize(
    ("publish", "remaining"),
    [
        (
            {
                "to": ["influxdb", "bigquery"],
                "influxdb": {
                    "url": "http://evil.example",
                    "database": "d",
                    "user": "u",
                    "measurement": "a.b-c_1",
                },
                "bigquery": {"project": "p", "location": "x", "dataset": "d", "table": "t-1"},
            },
            {"influxdb": {"measurement": "a.b-c_1"}, "bigquery": {"dataset": "d", "table": "t-1"}},
        ),
        (
            {
                "influxdb": {"measurement": "a\n"},
                "bigquery": {"dataset": "evil.d", "table": "t` --"},
            },
            {"influxdb": {}, "bigquery": {}},
        ),
        ({"influxdb": None, "bigquery": ["d"]}, {}),
        ("influxdb", {}),
    ],
)
def test_a_record_of_others_cannot_say_which_server_gets_our_credentials(
    tmp_path, publish, remaining, imported
):
    definition = {"title": "Mine", "publish": publish}
    record = run_record(config={"definition": definition, "seed": 1}, imported=imported)
    path = tmp_path / "run.json"
    path.write_text(exports.as_json([record]))
    (records,) = exchange.read_file(path, None, NOW).records
    assert records.config == {"definition": {"title": "Mine", "publish": remaining}, "seed": 1}


def test_a_definition_in_a_record_is_an_object(tmp_path):
    path = tmp_path / "run.json"
    path.write_text(exports.as_json([run_record(config={"definition": "publish"})]))
    with pytest.raises(UsageError, match=r"config\.definition: expected an object"):
        exchange.read_file(path, None, NOW)


@pytest.mark.parametrize("path", ["/", "", "..", "pipe"])
def test_an_output_that_is_no_file(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")  # as /dev/null, it must not be replaced by a file
    with pytest.raises(UsageError, match="is not a file: name one"):
        exchange.write(Path(path), "text")
    assert [file.is_fifo() for file in tmp_path.iterdir()] == [True]


@pytest.mark.parametrize("name", ["missing/out.json", "file/out.json", "n" * 255, "n" * 300])
def test_an_output_that_cannot_be_written(tmp_path, name):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(RunError) as caught:
        exchange.write(tmp_path / name, "text")
    assert str(caught.value).startswith(f"--output {tmp_path / name}: ")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_the_file_that_was_there(tmp_path, monkeypatch):
    def full(path, *_):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "out.json"
    path.write_text("kept")
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(RunError, match=r"out\.json: No space left on device"):
        exchange.write(path, "text")
    assert [file.name for file in tmp_path.iterdir()] == ["out.json"]
    assert path.read_text() == "kept"
