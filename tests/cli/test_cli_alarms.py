"""`alarms` and `backtest` on a store."""

from __future__ import annotations

import pytest

from beambench.store.run_store import RunStore

NOISE = (0.6, -1.2, 0.3, 1.4, -0.5, -0.9, 1.1, -0.2, 0.8, -1.4, 0.1, -0.6, 1.3, -0.8, 0.4, -0.1)


@pytest.fixture
def store(folder, make_record):
    """A store whose benchmark became slower at its 31st run."""
    url = f"sqlite:///{folder}/runs.db"
    with RunStore.open(url) as runs:
        for number in range(40):
            rate = (100 if number < 30 else 80) * (1 + NOISE[number % len(NOISE)] / 100)
            record = make_record(number)
            value = record.metrics["throughput_elements"].model_copy(update={"value": rate})
            runs.add(
                record.model_copy(
                    update={
                        "metrics": {"throughput_elements": value},
                        "verification": record.verification.model_copy(update={"passed": True}),
                    }
                )
            )
    return url


def test_an_open_alarm_is_an_exit_code_and_a_document(beambench, store):
    answer = beambench("alarms", "--store", store, "--json")

    assert answer.code == 1
    (change,) = [alarm for alarm in answer.document if alarm["kind"] == "change"]
    assert (change["metric"], change["state"]) == ("throughput_elements", "open")
    assert [each["index"] for each in change["changes"]] == [30]


def test_the_project_file_sets_the_policy_and_the_command_line_goes_before_it(
    beambench, store, folder
):
    (folder / "beambench.yaml").write_text("alarm_policy: {least_change: 0.5}\n")
    kinds = [
        [alarm["kind"] for alarm in beambench("alarms", "--store", store, "--json", *more).document]
        for more in ((), ("--policy", "least_change=0"))
    ]

    assert ["change" in each for each in kinds] == [False, True]
    (folder / "beambench.yaml").write_text("alarm_policy: 3\n")
    assert "alarm_policy: expected settings by name" in beambench("alarms").err


def test_a_backtest_has_a_line_for_each_policy(beambench, store):
    answer = beambench(
        "backtest", "overhead-noop", "--store", store, "--repetitions", "20", "--json"
    )

    policies = answer.document["policies"]
    assert answer.code == 0
    assert [each["policy"]["threshold"] for each in policies] == [3.55, 3.2, 3.4, 3.7, 4.0]
    assert [each["in_force"] for each in policies] == [True, False, False, False, False]
    assert all(each["steps"]["0.2"]["seen"] == 1 for each in policies)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("alarms", "--benchmark", "nope"), "no run of a benchmark 'nope'"),
        (("alarms", "--policy", "limit=3"), "--policy: unknown setting 'limit'"),
        (("backtest", "nope"), "no run of a benchmark 'nope'"),
        (("backtest", "overhead-noop", "--metric", "nope"), "no run has the metric 'nope'"),
        (("backtest", "overhead-noop", "--every", "0"), "--every: 0.0 days"),
    ],
)
def test_what_cannot_be_watched_is_refused_by_name(beambench, store, arguments, message):
    answer = beambench(*arguments, "--store", store)

    assert answer.code == 2
    assert message in answer.err
