"""What people read: values with their unit and n, unknown where nothing is known."""

import io

import pytest

from beambench.cli.console.progress import PLAIN_SECONDS, ProgressReporter, progress_text
from beambench.controller.session import Step
from beambench.definition.library import Library
from beambench.presentation.runs import print_record
from beambench.presentation.values import show_value
from beambench.record.run_record import RunRecord
from beambench.request.benchmark import make_request


@pytest.fixture
def printed(make_record, capsys):
    def run(**changed) -> str:
        print_record(make_record(**changed))
        return capsys.readouterr().out

    return run


def metric(value: float, unit: str, n: int, low: float | None = None, high: float | None = None):
    return {
        "value": value,
        "unit": unit,
        "direction": "lower",
        "n": n,
        "ci_low": low,
        "ci_high": high,
    }


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (1.5, "s", "1.5 s"),
        (0.0123456, "s", "12.35 ms"),
        (0.0000042, "s", "4.2 µs"),
        (0.0, "s", "0 µs"),
        (65.0, "s", "65 s"),
        (7200.0, "s", "7,200 s"),
        (701_600_000.0, "B", "701.6 MB"),
        (104_300.0, "B/s", "104.3 kB/s"),
        (12.0, "B", "12 B"),
        (2.5e12, "B", "2,500 GB"),
        (3168.25, "1/s", "3,168 1/s"),
        (42_321.4, "1/s", "42,321 1/s"),
        (11.256, "1/s", "11.26 1/s"),
        (0.987654, "1", "0.9877"),
        (0.0, "1", "0"),
        (12.5, "1", "12.5"),
        (1e300, "1/s", "1e+300 1/s"),
    ],
)
def test_a_value_has_its_unit_and_four_digits(value, unit, shown):
    assert show_value(value, unit) == shown


def test_a_metric_is_shown_with_its_interval_and_n(printed):
    out = printed(metrics={"run_time": metric(2.0, "s", 6, 1.5, 2.5)})
    (row,) = [line for line in out.splitlines() if line.startswith("run_time")]
    assert row.split() == ["run_time", "2", "s", "1.5", "s", "–", "2.5", "s", "6"]


def test_few_repeats_are_indicative(printed):
    out = printed(metrics={"run_time": metric(2.0, "s", 3)})
    (row,) = [line for line in out.splitlines() if line.startswith("run_time")]
    assert row.split() == ["run_time", "2", "s", "indicative", "3"]


def test_a_metric_that_is_missing_has_no_row(printed):
    out = printed(metrics={"run_time": metric(2.0, "s", 3)})
    assert "throughput" not in out


@pytest.mark.parametrize(
    ("kind", "mark"),
    [
        ("derived", "derived: made from packaged data"),
        ("synthetic", "synthetic"),
        ("list", "list"),
    ],
)
def test_the_input_says_what_it_is(printed, kind, mark):
    out = printed(input={"kind": kind, "count": 50, "digest": None, "bytes": 1500})
    assert f"input: 50 elements ({mark}, 1.5 kB)" in out


def test_an_input_that_was_never_read_is_unknown_and_not_zero(printed):
    out = printed(status="failed", input={"kind": "unknown", "count": 0, "digest": None})
    assert "input: unknown;" in out
    assert "0 elements" not in out


@pytest.mark.parametrize(
    ("weights", "shown"),
    [
        ("random", "resnet101 (random weights, 170.5 MiB)"),
        ("pretrained", "resnet101 (pretrained weights, 170.5 MiB)"),
        ("file", "resnet101 (file weights, 170.5 MiB)"),
        ("none", "resnet101"),
    ],
)
def test_the_model_says_what_its_weights_are(printed, weights, shown):
    out = printed(model={"name": "resnet101", "weights": weights, "size_mib": 170.5})
    assert f"; model: {shown}\n" in out


def test_a_gpu_that_the_model_was_loaded_on_is_named(printed):
    def shown(*devices: dict[str, str | None]) -> str:
        repeat = {"index": 0, "arm": "pipeline", "status": "succeeded", "devices": devices}
        model = {"name": "resnet101", "weights": "random"}
        times = {"started_at": "2026-01-31T10:00:00Z", "finished_at": "2026-01-31T10:00:01Z"}
        return str(printed(model=model, repeats=[{**repeat, **times}]))

    gpu = {"device": "cuda", "name": "NVIDIA H200"}
    assert "; model: resnet101 (random weights) on NVIDIA H200\n" in shown(gpu, gpu)
    assert "; model: resnet101 (random weights) on cuda\n" in shown({"device": "cuda"})
    for other in ({"device": "cpu", "name": "A CPU"}, {"reason": "it does not say"}):
        assert "; model: resnet101 (random weights)\n" in shown(other)


def test_what_was_decided_here_is_said_with_its_reason(printed):
    choice = {"setting": "model.precision", "value": "float32", "reason": "4 ms, not 20 ms\x1b[2J"}
    assert "model.precision: float32, because 4 ms, not 20 ms\\x1b[2J" in printed(choices=[choice])


def test_a_verification_that_failed_says_why_and_names_elements(printed, make_record):
    proven = make_record().verification.model_copy(
        update={"passed": False, "problems": ["2 elements are missing"], "elements_out": 48}
    )
    failed = [{"id": "a.jpg", "stage": "preprocess", "error": "ValueError: [bold] not an image"}]
    out = printed(status="failed", verification={**proven.model_dump(), "failed": failed})
    assert "verification: FAILED: 2 elements are missing; 50 in, 48 out" in " ".join(out.split())
    assert "failed: a.jpg: preprocess: ValueError: [bold] not an image" in out


@pytest.mark.parametrize(
    ("share", "agreement", "shown"),
    [
        (
            1.0,
            {"sample": 32, "compared": 32, "method": "labels"},
            "reference agreement 1 (32 labels compared with the bare loop)",
        ),
        (
            1.0,
            {"sample": 32, "compared": 12, "method": "outputs", "not_finite": 0.25},
            "reference agreement 1 (12 of 32 outputs compared with the bare loop, 25.00% of the "
            "outputs NaN or infinite alike)",
        ),
        (None, {"sample": 32, "compared": 0}, "reference agreement unknown;"),
        (
            None,
            {"reason": "labels are too few to prove anything"},
            "reference agreement unknown (labels are too few to prove anything);",
        ),
    ],
)
def test_the_verification_says_how_much_of_the_sample_was_compared(
    printed, make_record, share, agreement, shown
):
    proven = make_record().verification.model_dump()
    out = printed(verification={**proven, "reference_agreement": share, "reference": agreement})
    assert shown in " ".join(out.split())


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.0893673, "; a share of wrong labels above 8.94 % would have been seen with 95 %;"),
        (0.0, "; every wrong label would have been seen; digest"),
        (None, "compared with the bare loop); digest"),
    ],
)
def test_the_verification_says_how_many_wrong_labels_it_would_have_seen(
    printed, make_record, share, said
):
    details = {"sample": 32, "compared": 32, "method": "labels"}
    proven = make_record().verification.model_dump()
    out = printed(verification={**proven, "reference": details, "detectable_share": share})
    assert said in " ".join(out.split())


def test_no_proof_is_said_to_be_none(printed):
    nothing = dict.fromkeys(("elements_in", "elements_out", "elements_failed", "duplicates"), 0)
    out = printed(status="failed", metrics={}, verification=nothing)
    assert "verification: none: no repeat ended with a proof of its work" in out


def test_warnings_and_errors_are_printed_as_they_are(printed):
    out = printed(status="failed", warnings=["[red]hot\x1b[2J"], error="[red]it broke")
    assert r"warning: [red]hot\x1b[2J" in out
    assert "failed: [red]it broke" in out


@pytest.mark.parametrize("columns", [20, 40, 80, 100, 200])
def test_names_and_run_ids_are_never_cut(beambench, folder, make_record, monkeypatch, columns):
    from beambench.store import RunStore

    monkeypatch.setenv("COLUMNS", f"{columns}")
    with RunStore.open("sqlite:///runs.db") as store:
        store.add(make_record())
    assert (
        make_record().run_id
        in beambench("history", "overhead-noop", "--store", "sqlite:///runs.db").out
    )
    listed = beambench("list").out
    for name in Library().names():
        assert name in listed
    assert "…" not in listed


# --- progress -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("done", "elements", "first", "text"),
    [
        (120, 200, (0.0, 20), ": 120 of 200, 10/s, 8 s left"),
        (20, 200, (10.0, 20), ": 20 of 200"),
        (120, None, (0.0, 20), ": 120, 10/s"),
        (300, 200, (0.0, 0), ": 300 of 200, 30/s, 0 s left"),
    ],
    ids=["known", "just-begun", "unknown-total", "more-than-all"],
)
def test_the_text_of_the_progress(done, elements, first, text):
    assert progress_text(done, elements, first, now=10.0) == text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def reported(stream, seconds, monkeypatch) -> str:
    """Report 0, 10, 20 and 30 of 40 elements, each some seconds later; return what was written."""
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    reporter = ProgressReporter(stream).begin(make_request(Library(), "overhead-noop"))
    on_progress = reporter(Step("pipeline repeat 1", 3, 5), 40)
    for done in (0, 10, 20, 30, "many"):
        now += seconds
        on_progress({"done": done})
    reporter.close()
    return stream.getvalue()


HEAD = "overhead-noop [3/5] pipeline repeat 1"


def test_progress_on_a_terminal_is_one_live_line(monkeypatch):
    text = reported(Terminal(), 2.0, monkeypatch)
    assert text.replace("\x1b[K", "").split("\r")[1:] == [
        HEAD,
        f"{HEAD}: 10 of 40",
        f"{HEAD}: 20 of 40, 5/s, 4 s left",
        f"{HEAD}: 30 of 40, 5/s, 2 s left",
        "",
    ]


def test_progress_elsewhere_is_a_line_now_and_then(monkeypatch):
    text = reported(io.StringIO(), 0.6 * PLAIN_SECONDS, monkeypatch)
    assert text.splitlines() == [HEAD, f"{HEAD}: 10 of 40", f"{HEAD}: 30 of 40, 1.67/s, 6 s left"]


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError("closed")


def test_a_closed_terminal_does_not_end_the_run(monkeypatch):
    assert reported(Closed(), 1.0, monkeypatch) == ""


def test_a_record_of_nothing_but_the_contract_can_be_printed(make_record, capsys):
    record = make_record(metrics={}, warnings=[])
    print_record(RunRecord.model_validate_json(record.model_dump_json()))
    assert capsys.readouterr().out.rstrip().endswith(f"run {record.run_id}: succeeded")


def test_a_job_is_named_with_its_state_and_link(make_record, capsys):
    url = "https://console.cloud.google.com/dataflow/jobs/us-central1/2026-01-31_x?project=p"
    job = {"job_id": "2026-01-31_x", "state": "FAILED", "console_url": url}
    times = {"started_at": "2026-01-31T10:00:00Z", "finished_at": "2026-01-31T10:00:01Z"}
    repeat = {"index": 0, "arm": "pipeline", "status": "failed", **times, "runner": job}
    print_record(make_record(repeats=[repeat]))
    assert f"job 2026-01-31_x: failed, {url}" in capsys.readouterr().out.replace("\n", "")


def test_what_a_service_says_of_a_job_does_not_steer_the_terminal():
    stream = Terminal()
    show = ProgressReporter(stream).begin(make_request(Library(), "overhead-noop"))(
        Step("job 1", 3, 3), 100
    )
    show({"line": "job x: \x1b]0;owned\x07"})
    show({"text": "running\x1b[2J"})
    assert r"job x: \x1b]0;owned\x07" in stream.getvalue()
    assert "\x1b[2J" not in stream.getvalue()
    assert "\x07" not in stream.getvalue()


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["file", "terminal"])
def test_a_job_shows_its_state_when_it_changes(stream):
    reporter = ProgressReporter(stream).begin(make_request(Library(), "overhead-noop"))
    show = reporter(Step("job 1", 3, 3), 100)
    show({"line": "job x: https://console"})
    for state, done in (("pending", None), ("running, 3 workers, 9 s", 0), ("running, 3 w", 50)):
        show({"text": state, "done": done})
    reporter.close()
    lines = stream.getvalue().replace("\x1b[K", "\n").replace("\r", "").split("\n")
    lines = [line for line in lines if line]
    head = "overhead-noop [3/3] job 1"
    assert lines[:4] == [head, "job x: https://console", f"{head}: pending", lines[3]]
    assert lines[3] == f"{head}: running, 3 workers, 9 s"
    shown_again = [f"{head}: running, 3 w: 50 of 100"] if stream.isatty() else []
    assert lines[4:] == shown_again
