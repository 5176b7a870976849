"""The data that a benchmark's page draws: columns, changes, alarms, and what is in no series."""

from __future__ import annotations

import json
from typing import Any

import pytest

from beambench.analysis.change_points.policy import AlarmPolicy
from beambench.site.data.chart_data import chart_data, script_of
from beambench.site.data.chart_list import charts_of
from beambench.site.data.histories import benchmark_history
from beambench.site.data.packing import packed
from beambench.store.summaries import HistoryRun
from published_runs import run_record

NOISE = (0.6, -1.2, 0.3, 1.4, -0.5, -0.9, 1.1, -0.2, 0.8, -1.4, 0.1, -0.6, 1.3, -0.8, 0.4, -0.1)
NOW = "2026-01-31T11:00:00Z"
CHANGE = 30


def light(number: int, **changed: Any) -> HistoryRun:
    record = run_record(number, **changed)
    return HistoryRun.model_validate_json(record.model_dump_json())


def slower(number: int, **changed: Any) -> HistoryRun:
    """A run of a history that became slower at its 31st, when torch changed."""
    rate = (100 if number < CHANGE else 80) * (1 + NOISE[number % len(NOISE)] / 100)
    torch = "2.13.0" if number < CHANGE else "2.14.0"
    metrics = {
        "throughput_elements": {
            "value": rate, "unit": "1/s", "direction": "higher", "n": 6,
            "ci_low": rate * 0.99, "ci_high": rate * 1.01,
        },
        "throughput_bytes": {"value": rate * 1e5, "unit": "B/s", "direction": "higher", "n": 6},
        "run_time": {"value": 1000 / rate, "unit": "s", "direction": "lower", "n": 6},
    }  # fmt: skip
    environment = {
        "packages": {"apache-beam": "2.77.0", "torch": torch},
        "git": {"project": {"commit": f"{number:040x}"}},
    }
    return light(number, **{"metrics": metrics, "environment": environment} | changed)


def data_of(runs: list[HistoryRun]) -> dict[str, Any]:
    history = benchmark_history("mine", runs, NOW, AlarmPolicy())
    return chart_data(history, NOW, demo=False)


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return data_of([slower(number) for number in range(40)])


def test_the_planted_change_stands_where_it_is(data):
    (series,) = data["series"]
    (level,) = series["levels"]["throughput_elements"]
    assert (level["index"], level["direction"], level["better"]) == (CHANGE, "down", False)
    assert level["ratio"] == pytest.approx(0.8, rel=0.02)
    assert "torch 2.13.0 -> 2.14.0" in level["environment"]
    (alarm,) = series["alarms"]["throughput_elements"]
    assert (alarm["index"], alarm["state"]) == (CHANGE, "open")
    assert series["noise"]["throughput_elements"] == pytest.approx(0.009, rel=0.3)


def test_an_environment_that_changed_is_marked_without_its_commits(data):
    (series,) = data["series"]
    assert series["marks"] == [{"index": CHANGE, "lines": ["torch 2.13.0 -> 2.14.0"]}]


def test_every_run_has_its_column(data):
    (series,) = data["series"]
    columns = ("runs", "time", "commit", "sdk", "command", "disturbed", "group")
    assert {len(series[name]) for name in columns} == {40}
    assert {len(values) for values in series["values"].values()} == {40}
    assert series["commit"][3] == "0" * 10
    assert data["commands"] == ["beambench run"]
    assert series["low"]["throughput_elements"][0] == pytest.approx(99.594, abs=0.01)
    assert "run_time" not in series["low"]


def test_the_five_charts_of_the_old_suite_come_first(data):
    assert [(chart["id"], chart["x"]) for chart in data["charts"][:5]] == [
        ("run-time-and-cost", "time"),
        ("bytes-rate-by-date", "time"),
        ("elements-rate-by-date", "time"),
        ("bytes-rate-by-version", "sdk"),
        ("elements-rate-by-version", "sdk"),
    ]


def test_unlike_runs_are_never_in_one_series_nor_on_one_line():
    unlike = [
        slower(1),
        slower(2, input={"kind": "derived", "count": 50, "digest": "cd" * 32}),
        slower(3, model={"name": "noop", "weights": "random"}),
        slower(4, profile="local"),
        slower(5, variant="tuned"),
        slower(6, environment={"machine_digest": "another"}),
    ]
    data = data_of(unlike)
    assert sorted(series["group"] for series in data["series"]) == [[0], [0], [0], [0], [0, 1]]
    assert len({series["label"] for series in data["series"]}) == 5


def test_runs_in_no_series_are_counted_with_the_reason():
    data = data_of([slower(1), slower(2, status="failed"), slower(3, status="timed_out")])
    assert data["left_out"] == {"failed": 1, "timed out": 1}


def test_a_run_without_a_metric_is_null_and_moves_no_index():
    runs = [slower(number) for number in range(40)]
    runs[5] = slower(5, metrics={})
    (series,) = data_of(runs)["series"]
    assert series["values"]["throughput_elements"][5] is None
    assert series["levels"]["throughput_elements"][0]["index"] == CHANGE


def test_every_metric_is_in_a_chart():
    names = ["throughput_elements", "peak_memory", "of_a_package", "stage_time_read"]
    assert {name for chart in charts_of(names) for name in chart.metrics} == set(names)


def test_text_of_records_ends_no_script():
    attack = "</script><script>alert(1)</script><!--\u2028&"
    data = data_of([slower(1, variant=attack, command=["beambench", attack])])
    script = script_of(data)
    assert not set("<>&\u2028") & set(script)
    written = json.loads(script.removeprefix("beambench.benchmark(").removesuffix(");\n"))
    assert written["series"][0]["variant"] == attack
    assert written["commands"] == [f"beambench '{attack}'"]


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 0.001, 1.0, 1234.5, 1e12, 1e300])
def test_packed_numbers_are_the_same_to_the_last_digit(scale):
    values = [float(f"{scale * (1 + noise / 100):.5g}") for noise in NOISE] + [None, 0.0]
    small = packed({"values": {"m": values}, "low": {}, "high": {"m": values[::-1]}})
    power = f"e{small['exponents']['m']}" if small["exponents"] else ""
    for end, expected in (("values", values), ("high", values[::-1])):
        numbers = small[end]["m"]
        assert [None if n is None else float(f"{n}{power}") for n in numbers] == expected


def test_numbers_far_apart_stay_as_they_are():
    values = {"m": [1e-9, 1e9, None]}
    assert packed({"values": values, "low": {}, "high": {}})["values"] == values


def test_great_numbers_are_numbers():
    value = {"value": 1e300, "unit": "1/s", "direction": "higher", "n": 1}
    (series,) = data_of([slower(1, metrics={"throughput_elements": value})])["series"]
    assert series["values"]["throughput_elements"] == [1e300]


def script_of_runs(count: int) -> str:
    names = [f"metric_{number}" for number in range(20)]
    runs = [
        slower(
            number,
            run_id=f"20260131T100000Z-{number:08x}",
            metrics={
                name: {
                    "value": (1 + NOISE[number % len(NOISE)] / 100) / (3 + at),
                    "unit": "s",
                    "direction": "lower",
                    "n": 6,
                }
                for at, name in enumerate(names)
            },
        )
        for number in range(count)
    ]
    return script_of(data_of(runs))


def test_a_thousand_runs_of_twenty_metrics_are_small():
    of_runs = len(script_of_runs(120)) - len(script_of_runs(60))
    assert of_runs / 60 * 1000 < 350_000
