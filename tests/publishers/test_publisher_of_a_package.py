"""A publisher that an installed distribution brings along: no file of beambench knows it."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from pathlib import Path

import pytest

from beambench.cli.main import execute
from beambench.controller.execution import Execution
from beambench.definition.entry_points import entry_points
from beambench.definition.library import Library
from beambench.definition.plan import PipelinePlan, with_choices
from beambench.definition.publishers import find_publisher, lookup, publisher_names
from beambench.definition.schema import Definition, json_schema
from beambench.errors import UsageError
from beambench.experiments import exchange
from beambench.publishers import outbox
from beambench.publishers.base import make_client
from beambench.record.run_record import Choice
from beambench.store import RunStore
from fake_workers import measured
from installed import forget, install
from published_runs import run_record
from tiny_workloads import make_plan

ENTRY_POINTS = """
[beambench.publishers]
acme = acme_publishers:ACME
acme-broken = acme_publishers:NOTHING
acme-other = acme_publishers:ACME
acme-needy = acme_publishers:NEEDY
acme-odd = acme_publishers:ODD
copy = acme_publishers:ACME

[beambench.runners]
acme = acme_publishers.runner:ACME
"""
PUBLISHER = """
import dataclasses
import json
import os
import re
from pathlib import Path

from beambench.definition.publishers import Publisher, Requirement
from beambench.definition.section import Section
from beambench.errors import UsageError
from beambench.publishers.base import Client, Outcome, Row, UnreachableError


class Shelf(Section):
    shelf: str | None = None
    shop: str | None = None


class Acme(Client):
    def targets(self, settings, benchmark):
        return {"note": {"shelf": settings.get("shelf") or benchmark}}

    def place(self, target):
        return f"shelf {target['shelf']}"

    def rows(self, record):
        return [
            Row("note", name, {"started_at": record.started_at, "metric": name, "is": metric.value})
            for name, metric in record.metrics.items()
        ]

    def check(self, target):
        if not os.environ.get("ACME_FOLDER"):
            raise UsageError("acme: ACME_FOLDER is not set")

    def _file(self, row):
        self.check(row.target)
        folder = Path(os.environ["ACME_FOLDER"])
        if not folder.is_dir():
            raise UnreachableError("nobody is at home")
        return folder / f"{row.target['shelf']}.jsonl"

    def send(self, rows, deadline):
        with self._file(rows[0]).open("a") as file:
            file.writelines(json.dumps(row.content) + "\\n" for row in rows)
        return Outcome(delivered=[row.row_id for row in rows])

    def read_back(self, rows, deadline):
        lines = self._file(rows[0]).read_text().splitlines()
        return {row["row_id"]: row for row in map(json.loads, lines)}


ACME = Publisher(
    name="acme",
    settings=Shelf,
    client="acme_publishers:Acme",
    portable_settings={"shelf": re.compile("[a-z]+")},
)
NEEDY = dataclasses.replace(
    ACME, name="acme-needy", requirement=Requirement("no_such_module", "needs", "acme[needs]")
)
ODD = dataclasses.replace(ACME, name="acme-odd", client="acme_publishers:Shelf")
"""
RUNNER = """
from beambench.definition.runners import Runner

ACME = Runner(name="acme", beam_name="AcmeRunner", run_task="fake_workers:run_task")
"""
FILES = {"acme_publishers/__init__.py": PUBLISHER, "acme_publishers/runner.py": RUNNER}
MINE = """
inherit: overhead-noop
name: mine
publish: {to: [acme], acme: {shelf: mine-shelf}}
"""
RUN = ["run", "mine.yaml", "--runner", "acme"]


def metrics_of_a_run() -> int:
    execution = Execution(max_failed=0.0)
    for _ in range(3):  # repeats of the local profile
        execution.add("pipeline", measured())
    return len(execution.metrics())


ROWS = metrics_of_a_run()


@pytest.fixture(autouse=True)
def site(tmp_path, monkeypatch):
    """The folder of the distribution; the current one has a definition that names it."""
    folder = install(tmp_path / "site", "acme-publishers", ENTRY_POINTS, FILES)
    monkeypatch.syspath_prepend(str(folder))
    here = tmp_path / "here"
    here.mkdir()
    (here / "mine.yaml").write_text(MINE)
    monkeypatch.chdir(here)
    monkeypatch.setenv("BEAMBENCH_STORE", "sqlite:///runs.db")
    monkeypatch.setenv("ACME_FOLDER", str(here / "shop"))
    entry_points.cache_clear()
    yield folder
    forget("acme_publishers")


@pytest.fixture
def shop(tmp_path):
    """The server is there."""
    folder = tmp_path / "here" / "shop"
    folder.mkdir()
    return folder


def test_rows_that_could_not_be_sent_arrive_later_and_once(tmp_path, capsys):
    assert execute(RUN) == 5
    assert (
        f"acme: {ROWS} rows not delivered, kept in the queue: nobody is at home: send them later "
        "with `beambench publish --pending`" in capsys.readouterr().err
    )
    with RunStore.open("sqlite:///runs.db") as store:
        ((row_ids),) = store.deliveries.queued("acme", 10, due=False, runs=None)
        (record,) = store.history("mine")
    assert (len(row_ids), record.benchmark) == (ROWS, "mine")
    assert execute(["publish", "--pending"]) == 5
    (tmp_path / "here" / "shop").mkdir()
    capsys.readouterr()
    assert execute(["publish", "--pending"]) == 0
    assert capsys.readouterr().out == f"acme: {ROWS} rows delivered\n"
    for words in (["publish", "--pending"], ["publish", record.run_id, "--publish", "acme"]):
        assert execute(words) == 0
    lines = (tmp_path / "here" / "shop" / "mine-shelf.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["row_id"] for line in lines) == sorted(row_ids)
    capsys.readouterr()
    assert execute(["publish", record.run_id, "--verify", "--publish", "acme"]) == 0
    said = capsys.readouterr().out
    assert f"acme shelf mine-shelf: run {record.run_id}: {ROWS} of {ROWS} rows there" in said


def test_the_command_line_chooses_it_beside_others(shop, server, capsys):
    words = ["run", "overhead-noop", "--runner", "acme", "--publish", "acme"]
    assert execute([*words, "--publish", "influxdb"]) == 0
    assert len((shop / "overhead-noop.jsonl").read_text().splitlines()) == ROWS
    capsys.readouterr()
    assert execute(["publish", "--status", "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert counts["acme"] == {"delivered": ROWS, "queued": 0, "parked": 0}
    assert counts["influxdb"]["delivered"] > ROWS


@pytest.mark.parametrize("verb", ["publish", "run"])
def test_help_and_status_name_it(verb, capsys):
    assert execute([verb, "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "influxdb or bigquery or acme or acme-" in said
    assert execute(["publish", "--status"]) == 0
    assert "acme " in capsys.readouterr().out


def test_what_the_environment_lacks_is_said_before_anything_runs(monkeypatch, capsys):
    monkeypatch.delenv("ACME_FOLDER")
    assert execute(RUN) == 2
    assert "acme: ACME_FOLDER is not set" in capsys.readouterr().err
    assert execute([*RUN, "--publish", "acme-needy"]) == 3
    needs = "acme-needy: needs is not installed: pip install 'acme[needs]'"
    assert needs in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("publish.acme.shelv=x", "unknown key publish.acme.shelv (did you mean 'shelf'?)"),
        ("publish.acme.shelf=[1]", "publish.acme.shelf: input should be a valid string"),
        ("publish.acne={}", "unknown key publish.acne (did you mean 'acme'?)"),
        ("publish.to=[acne]", "publish.to.0: input should be 'influxdb', 'bigquery', 'acme'"),
        ("publish.acme-broken={}", "acme_publishers:NOTHING cannot be imported"),
    ],
)
def test_what_a_definition_says_wrongly_of_it_is_named(override, words):
    library = Library([Path("mine.yaml")])
    with pytest.raises(UsageError) as caught:
        library.resolve("mine", overrides=[override])
    assert words in str(caught.value)


def test_its_settings_are_those_of_the_definition_and_no_part_of_the_hash():
    resolved = Library([Path("mine.yaml")]).resolve("mine", overrides=["publish.acme.shop=a"])
    publish = resolved.definition.model_dump(mode="json")["publish"]
    assert list(publish) == ["to", "acme", "bigquery", "influxdb"]
    assert publish["acme"] == {"shelf": "mine-shelf", "shop": "a"}
    without = Library([Path("mine.yaml")]).resolve("mine", overrides=["publish.acme=null"])
    assert resolved.definition_hash == without.definition_hash
    properties = json_schema()["$defs"]["Publish"]["properties"]
    assert {"acme", "acme-needy", "bigquery"} < set(properties)
    assert "acme-broken" not in properties


def test_nothing_of_it_is_imported_before_it_is_named(capsys):
    assert execute(["list"]) == 0
    Library().resolve("overhead-noop")
    assert publisher_names()[:3] == ["influxdb", "bigquery", "acme"]
    assert "acme_publishers" not in sys.modules


def test_rows_wait_for_a_distribution_that_is_gone(site, shop, server, capsys):
    shop.rmdir()
    assert execute(RUN) == 5
    with RunStore.open("sqlite:///runs.db") as store:
        (record,) = store.history("mine")
    shutil.rmtree(site)
    forget("acme_publishers")
    capsys.readouterr()
    assert execute(["publish", "--pending"]) == 5
    assert "no publisher 'acme': choose influxdb or bigquery" in capsys.readouterr().err
    assert execute(["publish", record.run_id, "--publish", "influxdb"]) == 0
    capsys.readouterr()
    assert execute(["publish", record.run_id]) == 2
    assert "no publisher 'acme': choose influxdb or bigquery" in capsys.readouterr().err
    assert execute(["publish", "--status", "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert counts["acme"] == {"delivered": 0, "queued": ROWS, "parked": 0}
    with RunStore.open("sqlite:///runs.db") as store:
        row = next(row for row in store.deliveries.rows() if row.publisher == "acme")
    assert outbox.place_of(row) == "shelf mine-shelf"
    assert lookup("acme") is None


def test_a_record_of_others_keeps_no_more_than_it_says(tmp_path):
    section = {"acme": {"shelf": "mine", "shop": "theirs"}, "acne": {"shelf": "mine"}}
    record = run_record(config={"definition": {"publish": section}})
    path = tmp_path / "record.json"
    path.write_text(json.dumps([record.model_dump(mode="json")]))
    (records,) = exchange.read_file(path, None, "2026-11-22T10:00:00Z").records
    assert records.config["definition"]["publish"] == {"acme": {"shelf": "mine"}}


def test_a_worker_elsewhere_needs_no_publisher(site):
    definition = Library([Path("mine.yaml")]).resolve("mine").definition
    content, plan = (
        pickle.dumps(definition),
        make_plan(site, definition=definition).model_dump_json(),
    )
    assert pickle.loads(content) == definition
    shutil.rmtree(site)
    forget("acme_publishers")
    for submitted in (pickle.loads(content), PipelinePlan.model_validate_json(plan).definition):
        assert isinstance(submitted, Definition)
        assert submitted.model_dump() == definition.model_dump()
        half = Choice(setting="model.precision", value="float16", reason="")
        auto = submitted.model_copy(
            update={"model": submitted.model.model_copy(update={"precision": "auto"})}
        )
        assert with_choices(auto, [half]).publish == submitted.publish


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("acme-broken", "acme_publishers:NOTHING cannot be imported: AttributeError"),
        ("acme-other", "acme_publishers:ACME is no Publisher named 'acme-other'"),
        ("copy", "entry point 'copy' of beambench.publishers: a publisher cannot be named 'copy'"),
        ("acne", "no publisher 'acne' (did you mean 'acme'?): choose influxdb or bigquery or acme"),
    ],
)
def test_a_publisher_that_cannot_be_had_is_named(name, words):
    with pytest.raises(UsageError) as caught:
        find_publisher(name)
    assert words in str(caught.value)


def test_a_client_that_is_none_is_named():
    with pytest.raises(UsageError, match="acme-odd: acme_publishers:Shelf is no Client"):
        make_client("acme-odd")


def test_a_name_that_is_taken_is_refused(tmp_path, monkeypatch):
    entry = "[beambench.publishers]\ninfluxdb = acme_publishers:ACME\n"
    monkeypatch.syspath_prepend(str(install(tmp_path / "more", "acme-influxdb", entry, {})))
    entry_points.cache_clear()
    with pytest.raises(UsageError, match=r"'influxdb' is in beambench and in acme-influxdb 1\.2"):
        find_publisher("influxdb")
