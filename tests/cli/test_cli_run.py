"""What `run` does with the records that come back: print, store, rescue, exit code."""

import json
import signal

import pytest

from beambench.cancellation import Cancellation
from beambench.cli.main import root_command
from beambench.errors import RunError, StoreError, UsageError, worst
from beambench.store import RunStore
from published_runs import run_record

STORE = "sqlite:///runs.db"
NAMES = ["overhead-noop", "pytorch-image-classification-resnet101"]


@pytest.fixture
def results(monkeypatch):
    """Set what running gives, one result for each benchmark, instead of running anything."""

    def use(*given):
        def execute_all(requests, cancelled, announce, run):
            for request, result in zip(requests, given, strict=False):
                announce(request)
                yield request, result() if callable(result) else result

        monkeypatch.setattr("beambench.experiments.experiment.execute_all", execute_all)

    return use


def stored() -> list[str]:
    with RunStore.open(STORE) as store:
        return sorted(row.run_id for name in NAMES for row in store.summaries(name))


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([], 0),
        ([0, 0], 0),
        ([0, 3, 0], 3),
        ([3, 124], 124),
        ([124, 130, 3], 130),
        ([1, 4, 5], 5),
        ([1, 4], 4),
        ([0, 1], 1),
        ([2, 0], 2),
        ([2, 3], 3),
    ],
)
def test_the_exit_code_of_several_runs(codes, code):
    assert worst(codes) == code


@pytest.mark.parametrize(
    ("status", "code", "error", "said"),
    [
        ("succeeded", 0, None, None),
        ("failed", 3, "pipeline repeat 1: something", "failed: pipeline repeat 1: something"),
        ("timed_out", 124, "timed out in x", "timed out in x: give more than 5 s with --timeout"),
        ("cancelled", 130, "cancelled in x", "cancelled in x"),
    ],
)
def test_a_record_is_stored_and_printed_whatever_its_status(
    beambench, results, make_record, status, code, error, said
):
    record = make_record(status=status, error=error, config={"timeout": 5.0})
    results(record)
    answer = beambench("run", NAMES[0], "--json", "--store", STORE)
    assert answer.code == code
    assert answer.document == record.model_dump(mode="json")
    assert stored() == [record.run_id]
    assert answer.err == (f"beambench: overhead-noop: {said}\n" if said else "")


def test_as_text(beambench, results, make_record):
    record = make_record()
    results(record)
    answer = beambench("run", NAMES[0], "--store", STORE)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.rstrip().endswith(f"run {record.run_id}: succeeded")


def test_several_names_give_an_array(beambench, results, make_record):
    results(make_record(1), make_record(2, benchmark=NAMES[1], status="failed", error="x"))
    answer = beambench("run", *NAMES, "--json", "--store", STORE)
    assert answer.code == 3
    assert [one["benchmark"] for one in answer.document] == NAMES


def test_one_that_cannot_run_keeps_no_other_from_being_stored(beambench, results, make_record):
    record = make_record(2, benchmark=NAMES[1])
    results(RunError("no room"), record)
    answer = beambench("run", *NAMES, "--json", "--store", STORE)
    assert answer.code == 3
    assert answer.err == "beambench: overhead-noop: no room\n"
    assert [one["run_id"] for one in answer.document] == [record.run_id]
    assert stored() == [record.run_id]


@pytest.mark.parametrize(("error", "code"), [(UsageError("wrong"), 2), (RunError("broken"), 3)])
def test_the_only_one_that_cannot_run_is_one_line(beambench, results, error, code):
    results(error)
    answer = beambench("run", NAMES[0], "--json", "--store", STORE)
    assert (answer.code, answer.out) == (code, "")
    assert answer.err == f"beambench: {error}\n"


def test_a_record_that_cannot_be_stored_is_saved_beside(
    beambench, folder, results, make_record, monkeypatch
):
    def full(self, record, rows):
        raise StoreError("sqlite:///runs.db: the disk is full")

    monkeypatch.setattr(RunStore, "add", full)
    record = make_record()
    results(record)
    answer = beambench("run", NAMES[0], "--json", "--store", STORE)
    rescue = folder / f"beambench-{record.run_id}.json"
    assert answer.code == 3
    assert answer.document["run_id"] == record.run_id
    assert answer.err == (
        "beambench: sqlite:///runs.db: the disk is full; "
        f"the record was saved as beambench-{record.run_id}.json\n"
    )
    assert json.loads(rescue.read_text("utf-8")) == record.model_dump(mode="json")


def test_a_record_that_can_be_saved_nowhere_is_printed_all_the_same(
    beambench, folder, results, make_record, monkeypatch
):
    def full(self, record, rows):
        raise StoreError("the disk is full")

    monkeypatch.setattr(RunStore, "add", full)
    record = make_record()
    (folder / f"beambench-{record.run_id}.json").mkdir()
    results(record)
    answer = beambench("run", NAMES[0], "--json", "--store", STORE)
    assert answer.code == 3
    assert answer.document["run_id"] == record.run_id
    assert answer.err.startswith("beambench: the disk is full; saving it as beambench-2026")
    assert answer.err.count("\n") == 1


PUBLISHED = ["--profile", "full", "--publish", "influxdb", "--store", STORE]


def test_rows_are_sent_after_the_run(beambench, results, server):
    results(run_record(1), run_record(2))
    answer = beambench("run", *NAMES, *PUBLISHED, "--publish", "influxdb")
    assert (answer.code, answer.err) == (0, "")
    with RunStore.open(STORE) as store:
        counts = store.deliveries.counts()
    assert counts == {"influxdb": {"delivered": 28, "queued": 0, "parked": 0}}


def test_rows_that_a_server_does_not_take_are_one_line_and_an_exit_code(beambench, results, server):
    server.answer = lambda path, body: (503, '{"error": "not today"}')
    results(run_record(1), run_record(2, status="failed", error="x"))
    answer = beambench("run", *NAMES, *PUBLISHED)
    assert answer.code == 3
    assert answer.err.count("influxdb: ") == 1
    assert "rows not delivered, kept in the queue: " in answer.err
    results(run_record(3))
    assert beambench("run", NAMES[0], *PUBLISHED).code == 5


def test_rows_that_cannot_be_made_are_one_line_and_an_exit_code(
    beambench, results, server, monkeypatch
):
    def broken(record, publisher):
        raise ValueError("of a library")

    monkeypatch.setattr("beambench.publishers.outbox.rows_of", broken)
    results(run_record())
    answer = beambench("run", NAMES[0], *PUBLISHED)
    said = f"run {run_record().run_id}: its rows could not be made (ValueError: of a library)"
    assert (answer.code, answer.err) == (5, f"beambench: {said}\n")
    with RunStore.open(STORE) as store:
        assert store.get(run_record().run_id) == run_record()


def test_publishers_are_refused_before_anything_is_run(beambench, results, server, monkeypatch):
    results(run_record())
    answer = beambench("run", NAMES[0], "--publish", "kafka", "--store", STORE)
    assert (answer.code, "no publisher 'kafka'" in answer.err) == (2, True)
    monkeypatch.delenv("INFLUXDB_URL")
    answer = beambench("run", NAMES[0], *PUBLISHED)
    assert (answer.code, "INFLUXDB_URL" in answer.err) == (2, True)
    assert stored() == []


def test_other_settings_than_the_suites_are_said_where_rows_go_out(beambench, server):
    dry = ["--dry-run", "--publish", "influxdb"]
    answer = beambench("run", NAMES[0], "--profile", "smoke", *dry)
    assert (answer.code, answer.err) == (
        0,
        "beambench: overhead-noop: rows in Beam's format say nothing of variant stock and profile "
        "smoke: they stand beside those of the suite\n",
    )
    assert beambench("run", NAMES[0], "--profile", "full", *dry).err == ""
    assert server.requests == []


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_asks_the_run_to_stop_and_the_record_is_stored(
    beambench, monkeypatch, make_record, name
):
    before = signal.getsignal(getattr(signal, name))
    record = make_record(status="cancelled", error="prepare: cancelled")

    def execute_all(requests, cancelled: Cancellation, announce, run):
        assert not cancelled.is_set()
        signal.raise_signal(getattr(signal, name))
        assert cancelled.is_set()
        yield requests[0], record

    monkeypatch.setattr("beambench.experiments.experiment.execute_all", execute_all)
    answer = beambench("run", NAMES[0], "--json", "--store", STORE)
    assert answer.code == 130
    assert stored() == [record.run_id]
    assert signal.getsignal(getattr(signal, name)) == before


def test_labels_go_into_the_request(beambench, monkeypatch, make_record):
    seen = []

    def execute_all(requests, cancelled, announce, run):
        seen.extend(requests)
        yield requests[0], make_record()

    monkeypatch.setattr("beambench.experiments.experiment.execute_all", execute_all)
    labels = ["--label", "a=1", "--label", "b=x=y", "--label", "c="]
    beambench("run", NAMES[0], *labels, "--store", STORE)
    assert seen[0].labels == {"a": "1", "b": "x=y", "c": ""}


def test_ctrl_c_before_a_run_is_no_traceback(beambench, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("beambench.cli.listing.library", interrupted)
    assert beambench("list").code == 130


@pytest.mark.parametrize(
    "kind", ["directory of images", "path a line", "sentence or prompt a line"]
)
def test_the_help_names_every_kind_of_input(kind):
    run = root_command().commands["run"]
    (option,) = [one for one in run.params if "--input" in one.opts]
    assert kind in option.help
