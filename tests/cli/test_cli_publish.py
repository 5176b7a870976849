from __future__ import annotations

import json

import pytest

from beambench.store import RunStore, sqlite_url
from published_runs import PUBLISH, run_record

LABEL = "BeamML_PyTorch_pytorchruninference/beamml_runinference"


@pytest.fixture
def url(folder, monkeypatch):
    address = sqlite_url(folder / "runs.db")
    monkeypatch.setenv("BEAMBENCH_STORE", address)
    return address


@pytest.fixture
def stored(url):
    with RunStore.open(url) as store:
        store.add_missing([run_record(number) for number in (1, 2)])
    return [run_record(number).run_id for number in (1, 2)]


@pytest.fixture
def server_away(monkeypatch):
    monkeypatch.setenv("INFLUXDB_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("INFLUXDB_DATABASE", "tests")


def test_rows_of_a_server_that_is_down_stay_queued(beambench, stored, server_away):
    answer = beambench("publish", stored[0], "--publish", "influxdb")
    assert (answer.code, answer.out) == (5, "")
    assert answer.err == (
        "beambench: influxdb: 14 rows not delivered, kept in the queue: http://127.0.0.1:9: "
        "refused or cut the connection: send them later with `beambench publish --pending`\n"
    )
    answer = beambench("publish", "--status", "--json")
    assert json.loads(answer.out)["influxdb"] == {"delivered": 0, "queued": 14, "parked": 0}
    answer = beambench("publish", "--pending", "--json")
    assert answer.code == 5
    (report,) = json.loads(answer.out)
    assert (report["delivered"], report["queued"], report["parked"]) == (0, 14, [])


def test_since_takes_the_runs_from_a_time_on(beambench, stored, server_away):
    answer = beambench("publish", "--since", "2026-01-31T10:00:02", "--publish", "influxdb")
    assert answer.code == 5
    assert "14 rows not delivered" in answer.err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "give one of RUN, --pending, --since, --status and --changes"),
        (("--pending", "--status"), "--changes, not --pending and --status"),
        (("--pending", "--verify"), "--verify goes with RUN or --since"),
        (("nothing-like-it", "--publish", "influxdb"), "no run 'nothing-like-it' in this store"),
        (("--since", "yesterday"), "'yesterday': not a date or time: write 2026-01-31"),
        (("2026-nothing", "--publish", "kafka"), "no publisher 'kafka': choose influxdb or big"),
    ],
)
def test_wrong_usage_is_said_in_one_line(beambench, stored, arguments, problem):
    answer = beambench("publish", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert problem in answer.err
    assert answer.err.count("\n") == 1


def test_a_run_without_a_publisher_says_how_to_choose_one(beambench, stored):
    answer = beambench("publish", stored[0])
    assert answer.code == 2
    assert "no publisher is chosen: give --publish influxdb or --publish bigquery" in answer.err


def test_the_definition_and_the_project_file_choose_publishers(beambench, url, server_away, folder):
    config = {"definition": {"publish": {**PUBLISH, "to": ["influxdb"]}}}
    with RunStore.open(url) as store:
        store.add_missing([run_record(3, config=config), run_record(4)])
    assert "influxdb: 14 rows not" in beambench("publish", run_record(3).run_id).err
    (folder / "beambench.yaml").write_text("publish: [influxdb]\n")
    assert "influxdb: 14 rows not" in beambench("publish", run_record(4).run_id).err
    (folder / "beambench.yaml").write_text("publish: influxdb\n")
    answer = beambench("publish", run_record(4).run_id)
    assert (answer.code, answer.err) == (
        2,
        "beambench: beambench.yaml: publish: expected a list of publishers\n",
    )


def test_nothing_to_do(beambench, url):
    assert beambench("publish", "--pending").out == "nothing is queued\n"
    none = {"delivered": 0, "queued": 0, "parked": 0}
    assert json.loads(beambench("publish", "--status", "--json").out) == {
        "influxdb": none,
        "bigquery": none,
    }
    assert "influxdb" in beambench("publish", "--status").out


def test_export_and_import(beambench, stored, folder):
    answer = beambench("export", "--benchmark", "published-tests", "--output", "all.json")
    assert (answer.code, answer.out) == (0, "")
    other = sqlite_url(folder / "other.db")
    answer = beambench("import", "all.json", "--store", other)
    assert (answer.code, answer.out) == (0, "2 runs imported\n")
    answer = beambench("import", "all.json", "--store", other)
    assert answer.out == "0 runs imported, 2 were there already\n"
    answer = beambench("export", stored[0], "--format", "csv", "--store", other)
    assert answer.out.count("\n") == 3
    assert "all.json" in answer.out


def test_an_id_twice_in_one_import_is_counted(beambench, stored, folder):
    for name in ("a.json", "b.json"):
        beambench("export", stored[0], "--output", name)
    other = sqlite_url(folder / "other.db")
    answer = beambench("import", "a.json", "b.json", "--store", other)
    line = "1 with the id of a run that came before in this import"
    assert (answer.code, answer.out) == (0, "1 run imported\n")
    assert answer.err == f"beambench: left out: {line}\n"
    answer = beambench("import", "a.json", "b.json", "--store", other, "--json")
    assert json.loads(answer.out) == {"found": 1, "added": 0, "left_out": [line]}


def test_nothing_is_stored_of_an_import_with_one_bad_file(beambench, stored, folder):
    beambench("export", *stored, "--output", "good.json")
    (folder / "cut.json").write_text((folder / "good.json").read_text()[:-100])
    answer = beambench("import", "good.json", "cut.json", "--store", sqlite_url(folder / "o.db"))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("beambench: cut.json: not JSON: ")
    assert not (folder / "o.db").exists()


def test_history_of_the_old_suite(beambench, url, folder):
    row = {"timestamp": "2024-03-01 08:00:00 UTC", "job_id": "j"}
    rows = [
        {**row, "test_id": "t1", "metric": "AvgThroughputElements", "value": 61.5},
        {**row, "test_id": "t1", "metric": "JobRuntimeSeconds", "value": 900},
    ]
    (folder / "rows.json").write_text(json.dumps(rows))
    answer = beambench("import", "rows.json", "--benchmark", "overhead-noop")
    assert (answer.code, answer.out) == (0, "1 run imported\n")
    answer = beambench("history", "overhead-noop")
    assert "beam-t1" in answer.out
    assert "imported" in answer.out
    assert "61.5 (Beam's average)" in answer.out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("import",), "give FILE or --from bigquery or --from influxdb"),
        (("import", "--from", "influxdb"), "say whose history it is with --benchmark NAME"),
        (("import", "gone.json"), "gone.json: No such file or directory"),
        (("import", "gone.json", "--table", "x"), "--table goes with --from"),
        (("import", "gone.json", "--benchmark", "nope"), "no benchmark 'nope'"),
        (("export",), "give one of RUN, --benchmark and --since"),
        (
            ("export", "--since", "2026-01-01", "--output", "/"),
            "--output /: is not a file: name one",
        ),
        (("export", "--since", "2026-01-01", "--output", ""), "is not a file: name one"),
        (("export", "--benchmark", "publishd-tests"), "did you mean 'published-tests'?"),
        (
            ("import", "--from", "bigquery", "--benchmark", "overhead-noop", "--table", "x"),
            "--table x: write DATASET.TABLE or PROJECT.DATASET.TABLE",
        ),
    ],
)
def test_wrong_usage_of_export_and_import(beambench, stored, arguments, problem):
    answer = beambench(*arguments)
    assert answer.code == 2
    assert problem in answer.err
    assert answer.err.count("\n") == 1
    assert LABEL not in answer.out


def test_changes_are_counted_for_each_benchmark(beambench, stored, server):
    answer = beambench("publish", "--changes")
    assert (answer.code, answer.out) == (0, "influxdb: published-tests: 0 changes\n")
    answer = beambench("publish", "--changes", "--json")
    assert json.loads(answer.out) == {"publisher": "influxdb", "changes": {"published-tests": 0}}


def test_changes_of_a_server_that_is_down_are_not_queued(beambench, stored, server_away):
    answer = beambench("publish", "--changes")
    assert (answer.code, answer.out) == (5, "")
    assert answer.err == (
        "beambench: influxdb: changes are not published: http://127.0.0.1:9: refused or cut the "
        "connection: try again later\n"
    )
