"""Charts as files: which there are, equal files of equal runs, and attacks that stay text."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from attack_records import attack_record
from beambench.analysis.change_points.policy import AlarmPolicy
from beambench.errors import RunError, UsageError
from beambench.site.data.chart_list import charts_of
from beambench.site.data.histories import benchmark_history
from beambench.site.pictures import write
from beambench.site.pictures.badges import Badge, badges_of, svg_of
from beambench.site.pictures.figure import figure_of
from beambench.site.pictures.write import write_pictures
from beambench.site.templating import environment
from beambench.store.summaries import HistoryRun
from published_runs import run_record

NOW = "2026-02-01T00:00:00.000Z"
SVG = "{http://www.w3.org/2000/svg}"


def history_of(records, name="published-tests"):
    runs = [HistoryRun.model_validate_json(record.model_dump_json()) for record in records]
    return benchmark_history(name, runs, NOW, AlarmPolicy())


@pytest.fixture(scope="module")
def history():
    return history_of([run_record(number) for number in range(3)])


def test_every_chart_is_a_png_and_an_svg_and_stands_on_the_page(history, tmp_path):
    files = write_pictures([history], tmp_path, NOW)
    charts = [chart.id for chart in charts_of(history.metric_names())]
    assert charts == ["elements-rate-by-date", "elements-rate-by-version", "peak-rss"]
    assert {path.relative_to(tmp_path).as_posix() for path in files} == {
        "README.md",
        "published-tests/badge-throughput.svg",
        "published-tests/badge-alarms.svg",
        *(f"published-tests/{chart}.{kind}" for chart in charts for kind in ("svg", "png")),
    }
    page = (tmp_path / "README.md").read_text("utf-8")
    embedded = set(re.findall(r"!\[[^]]*\]\(([^)]*)\)", page))
    assert embedded == {
        path.relative_to(tmp_path).as_posix()
        for path in files
        if path.suffix == ".png" or path.stem.startswith("badge")
    }
    for path in files:
        if path.suffix == ".png":
            assert path.read_bytes().startswith(b"\x89PNG")
        elif path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag == f"{SVG}svg"


def test_lines_far_apart_have_axes_of_their_own(tmp_path):
    def panels(factor):
        metric = {"unit": "1/s", "direction": "higher", "n": 6}
        runs = [
            run_record(at, variant=variant, metrics={"throughput_elements": {**metric, "value": v}})
            for at, (variant, v) in enumerate((("stock", 10.0), ("tuned", 10.0 * factor)))
        ]
        history = history_of(runs)
        figure = figure_of(history, charts_of(history.metric_names())[0], NOW)
        return [len(axes.get_legend().get_texts()) for axes in figure.axes]

    assert panels(2) == [2]
    assert panels(50) == [1, 1]


def test_equal_runs_give_equal_files(tmp_path):
    record = run_record(1)
    metrics = {"peak_rss": record.metrics["peak_rss"]}
    history = history_of([record.model_copy(update={"metrics": metrics})])
    for name in ("one", "two"):
        write_pictures([history], tmp_path / name, NOW)
    for path in (tmp_path / "one").rglob("*.*"):
        other = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == other.read_bytes()


def test_text_of_records_stays_text_in_pictures(tmp_path):
    name = attack_record().benchmark
    record = attack_record(status="succeeded", error=None)
    files = write_pictures([history_of([record], name)], tmp_path, NOW)
    for path in files:
        assert path.resolve().is_relative_to(tmp_path.resolve())
        if path.suffix == ".svg":
            tags = {element.tag for element in ElementTree.parse(path).iter()}
            assert not tags & {f"{SVG}script", f"{SVG}img", f"{SVG}image", f"{SVG}foreignObject"}
    page = (tmp_path / "README.md").read_text("utf-8")
    assert "<script" not in page
    assert "<img" not in page


def test_badges_say_what_the_newest_run_has(history):
    assert badges_of(history) == [Badge("throughput", "3,170 1/s"), Badge("alarms", "none", "good")]
    svg = svg_of(environment(), Badge("throughput", "<3 & more"))
    assert ElementTree.fromstring(svg).get("aria-label") == "throughput: <3 & more"


def test_a_benchmark_without_a_fit_run_has_its_badge_alone(tmp_path):
    history = history_of([run_record(1, status="failed", error="it broke")])
    files = write_pictures([history], tmp_path, NOW)
    assert [path.name for path in files] == ["README.md", "badge-alarms.svg"]


def test_without_matplotlib_one_line_says_what_to_install(history, tmp_path, monkeypatch):
    monkeypatch.setattr(write, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'beambench\[pictures\]' for --images"):
        write_pictures([history], tmp_path, NOW)


def test_a_folder_that_cannot_be_written_is_named(history, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match=r"--images .*file: File exists"):
        write_pictures([history], tmp_path / "file", NOW)
