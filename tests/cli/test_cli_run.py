"""What `run` does with the records that come back: print, store, rescue, exit code.

The way is the whole one, from the command line to the server; only the workers are none.
"""

import json
import signal

import pytest

from beambench.cli.main import root_command
from beambench.controller.processes.work_dir import work_dir
from beambench.errors import RunError, StoreError, worst
from beambench.record.observation import Observation, SampledPrediction
from beambench.record.run_record import RunRecord
from beambench.store import RunStore
from fake_workers import crashed, finished, gave_up, measured

STORE = "sqlite:///runs.db"
ROWS = 16
NAMES = ["overhead-noop", "pytorch-image-classification-resnet101"]


RUN = ["run", NAMES[0], "--repeats", "1", "--store", STORE]
RUN_BOTH = ["run", *NAMES, "--repeats", "1", "--store", STORE]


def stored() -> list[str]:
    with RunStore.open(STORE) as store:
        return sorted(row.run_id for name in NAMES for row in store.summaries(name))


def record_of(run_id: str) -> RunRecord:
    with RunStore.open(STORE) as store:
        record = store.get(run_id)
    assert record is not None
    return record


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


FAILED = "pipeline repeat 1: something"
TIMED_OUT = "timed out in pipeline repeat 1"
CANCELLED = "cancelled in pipeline repeat 1"


@pytest.mark.parametrize(
    ("status", "code", "error", "said"),
    [
        ("succeeded", 0, None, None),
        ("failed", 3, FAILED, f"failed: {FAILED}"),
        ("timed_out", 124, TIMED_OUT, f"{TIMED_OUT}: give more than 5 s with --timeout"),
        ("cancelled", 130, CANCELLED, CANCELLED),
    ],
)
def test_a_record_is_stored_and_printed_whatever_its_status(
    beambench, workers, status, code, error, said
):
    if error is not None:
        workers.script("pipeline", crashed(status, "something"))
    answer = beambench(*RUN, "--json", "--timeout", "5")
    assert answer.code == code
    record = record_of(answer.document["run_id"])
    assert (record.status, record.error) == (status, error)
    assert answer.document == record.model_dump(mode="json")
    assert stored() == [record.run_id]
    assert answer.messages == ([f"beambench: overhead-noop: {said}"] if said else [])


def test_as_text(beambench, workers):
    answer = beambench(*RUN)
    assert (answer.code, answer.messages) == (0, [])
    (run_id,) = stored()
    assert answer.out.rstrip().endswith(f"run {run_id}: succeeded")


def test_several_names_give_an_array(beambench, workers):
    workers.script("pipeline", measured(), crashed())
    answer = beambench(*RUN_BOTH, "--json")
    assert answer.code == 3
    assert [run["benchmark"] for run in answer.document] == NAMES
    assert [run["status"] for run in answer.document] == ["succeeded", "failed"]


@pytest.fixture
def no_room(monkeypatch):
    """Let there be no room for temporary files in the first run: no part of it could start."""
    folders = [RunError("no room")]

    def make():
        if folders:
            raise folders.pop()
        return work_dir()

    monkeypatch.setattr("beambench.experiments.experiment.work_dir", make)


def test_one_that_cannot_run_keeps_no_other_from_being_stored(beambench, workers, no_room):
    answer = beambench(*RUN_BOTH, "--json")
    assert answer.code == 3
    assert answer.messages == ["beambench: overhead-noop: no room"]
    assert [run["benchmark"] for run in answer.document] == [NAMES[1]]
    assert stored() == [answer.document[0]["run_id"]]


def test_the_only_one_that_cannot_run_is_one_line(beambench, workers, no_room):
    answer = beambench(*RUN, "--json")
    assert (answer.code, answer.out) == (3, "")
    assert answer.err == "beambench: no room\n"


def test_what_only_the_user_can_fix_is_one_line(beambench, workers):
    workers.script("prepare", gave_up("prepare", "usage", "wrong"))
    answer = beambench(*RUN, "--json")
    assert (answer.code, answer.out) == (2, "")
    assert answer.messages == ["beambench: wrong"]
    assert stored() == []


def test_a_record_that_cannot_be_stored_is_saved_beside(beambench, folder, workers, monkeypatch):
    def full(self, record, rows):
        raise StoreError("sqlite:///runs.db: the disk is full")

    monkeypatch.setattr(RunStore, "add", full)
    answer = beambench(*RUN, "--json")
    run_id = answer.document["run_id"]
    rescue = folder / f"beambench-{run_id}.json"
    assert answer.code == 3
    assert answer.messages == [
        "beambench: sqlite:///runs.db: the disk is full; "
        f"the record was saved as beambench-{run_id}.json"
    ]
    assert json.loads(rescue.read_text("utf-8")) == answer.document


def test_a_record_that_can_be_saved_nowhere_is_printed_all_the_same(
    beambench, folder, workers, monkeypatch
):
    def full(self, record, rows):
        (folder / f"beambench-{record.run_id}.json").mkdir()
        raise StoreError("the disk is full")

    monkeypatch.setattr(RunStore, "add", full)
    answer = beambench(*RUN, "--json")
    assert answer.code == 3
    assert (folder / f"beambench-{answer.document['run_id']}.json").is_dir()
    (message,) = answer.messages
    assert message.startswith("beambench: the disk is full; saving it as beambench-2")


PUBLISHED = ["--profile", "full", "--publish", "influxdb"]


def test_rows_are_sent_after_the_run(beambench, workers, server):
    answer = beambench(*RUN_BOTH, *PUBLISHED, "--publish", "influxdb")
    assert (answer.code, answer.messages) == (0, [])
    with RunStore.open(STORE) as store:
        counts = store.deliveries.counts()
    assert counts == {"influxdb": {"delivered": ROWS, "queued": 0, "parked": 0}}


def test_rows_that_a_server_does_not_take_are_one_line_and_an_exit_code(beambench, workers, server):
    server.answer = lambda path, body: (503, '{"error": "not today"}')
    workers.script("pipeline", measured(), crashed())
    answer = beambench(*RUN_BOTH, *PUBLISHED)
    assert answer.code == 3
    assert answer.err.count("influxdb: ") == 1
    assert "rows not delivered, kept in the queue: " in answer.err
    assert beambench(*RUN, *PUBLISHED).code == 5


def test_rows_that_cannot_be_made_are_one_line_and_an_exit_code(
    beambench, workers, server, monkeypatch
):
    def broken(record, publisher):
        raise ValueError("of a library")

    monkeypatch.setattr("beambench.publishers.outbox.rows_of", broken)
    answer = beambench(*RUN, *PUBLISHED)
    (run_id,) = stored()
    said = f"run {run_id}: its rows could not be made (ValueError: of a library)"
    assert (answer.code, answer.messages) == (5, [f"beambench: {said}"])
    assert record_of(run_id).status == "succeeded"


def test_publishers_are_refused_before_anything_is_run(beambench, workers, server, monkeypatch):
    answer = beambench(*RUN, "--publish", "kafka")
    assert (answer.code, "no publisher 'kafka'" in answer.err) == (2, True)
    monkeypatch.delenv("INFLUXDB_URL")
    answer = beambench(*RUN, *PUBLISHED)
    assert (answer.code, "INFLUXDB_URL" in answer.err) == (2, True)
    assert (stored(), workers.tasks) == ([], [])


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
def test_a_signal_asks_the_run_to_stop_and_the_record_is_stored(beambench, workers, name):
    before = signal.getsignal(getattr(signal, name))

    def signalled(_):
        cancelled = workers.options[-1]["cancelled"]
        assert not cancelled.is_set()
        signal.raise_signal(getattr(signal, name))
        assert cancelled.is_set()
        return crashed("cancelled")

    workers.script("prepare", signalled)
    answer = beambench(*RUN_BOTH, "--json")
    assert answer.code == 130
    (document,) = answer.document
    assert (document["status"], document["error"]) == ("cancelled", "cancelled in prepare")
    assert stored() == [document["run_id"]]
    assert signal.getsignal(getattr(signal, name)) == before


def test_labels_are_kept_in_the_record(beambench, workers):
    labels = ["--label", "a=1", "--label", "b=x=y", "--label", "c="]
    answer = beambench(*RUN, *labels, "--json")
    assert answer.document["labels"] == {"a": "1", "b": "x=y", "c": ""}


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
    (option,) = [parameter for parameter in run.params if "--input" in parameter.opts]
    assert kind in option.help


def test_an_unverified_run_is_none_that_passed_and_none_that_failed(beambench, workers):
    same = [SampledPrediction(id=str(number), label=0) for number in range(4)]
    workers.script("reference", finished(Observation(task="reference", sample=same)))
    workers.script("pipeline", measured(sample=same))
    answer = beambench(*RUN)
    assert answer.code == 0, answer.err
    assert "verification: unverified: labels are too few to prove anything" in answer.out
    shown = " ".join(answer.out.split())
    assert "; 100 in, 100 out, 0 failed, 0 duplicates; reference agreement unknown;" in shown
    [run_id] = stored()
    proven = record_of(run_id).verification
    assert (proven.passed, proven.problems, proven.elements_out) == (False, [], 100)
    assert proven.unverified is not None
    [row] = beambench("history", NAMES[0], "--store", STORE, "--json").document
    assert row["verification"] == {"passed": False, "unverified": proven.unverified}
    listed = beambench("history", NAMES[0], "--store", STORE)
    assert "unverified" in listed.out
    assert "(inference)" not in listed.out
    exported = beambench("export", run_id, "--format", "markdown", "--store", STORE)
    assert "unverified: labels are too few" in exported.out
    assert "not verified" not in exported.out


def test_a_run_of_which_nothing_came_out_fails_whatever_may(beambench, workers):
    workers.script("pipeline", measured(failed=100, sample=[]))
    answer = beambench(*RUN, "--max-failed", "1")
    assert answer.code == 3
    assert "FAILED: no element came out: 100 failed" in answer.out
