"""Predictions as a user finds them after a run: in text, Parquet and BigQuery."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import servers
from beambench.definition.plan import PipelinePlan
from beambench.errors import RunError, UsageError
from beambench.inputs import files
from beambench.worker.tasks import prepare, run_pipeline
from beambench.workloads.base import Weights
from beambench.workloads.output import Target
from beambench.workloads.pipeline import sinks
from beambench.workloads.pipeline.assembly import batch_parts, build
from beambench.workloads.pipeline.outputs import Outputs
from buckets import put
from tiny_workloads import Tiny, definition, for_task, make_plan, outputs_of, prepared

pytestmark = pytest.mark.real

IDS = [str(number) for number in range(40)]
FAILED = 3


def expected(label: Any) -> dict[str, tuple[Any, str | None]]:
    """Return label and error of every element, as `Tiny` gives them."""
    rows: dict[str, tuple[Any, str | None]] = {}
    for element_id in IDS:
        outputs = outputs_of(int(element_id), "plain")
        rows[element_id] = (label(outputs), None)
    rows[str(FAILED)] = (None, f"preprocess: ValueError: preprocess of {FAILED}")
    return rows


def as_class(outputs: list[float]) -> int:
    return outputs.index(max(outputs))


def planned(folder: Path, output: str, **changed: Any) -> PipelinePlan:
    parameters = {"fail_at": [FAILED], "stage": "preprocess", **changed.pop("parameters", {})}
    return make_plan(
        folder,
        **{
            "definition": definition(parameters=parameters),
            "preparation": prepared(folder, IDS),
            "output": output,
            **changed,
        },
    )


def by_id(rows: list[dict[str, Any]]) -> dict[str, tuple[Any, str | None]]:
    assert all(list(row) == ["id", "label", "error"] for row in rows)
    labels = {row["id"]: (row["label"], row["error"]) for row in rows}
    assert len(labels) == len(rows)
    return labels


@pytest.mark.parametrize("remote", [False, True])
def test_text_has_a_json_object_a_line(tmp_path, bucket, remote):
    output = f"{bucket}/out/put.jsonl" if remote else str(tmp_path / "put.jsonl")
    plan = planned(tmp_path, output)
    for _ in range(2):  # the second repeat replaces what the first one wrote
        observation = run_pipeline(plan)
        assert (
            observation.output_rows
            == len(IDS)
            == observation.proof.count + observation.proof.failed
        )
        assert observation.output_end > observation.measured.last_output
    rows = [json.loads(line) for line in files.read_bytes(output).splitlines()]
    assert by_id(rows) == expected(as_class)
    assert {prediction.id: prediction.label for prediction in observation.sample} == {
        prediction.id: by_id(rows)[prediction.id][0] for prediction in observation.sample
    }
    if not remote:
        assert sorted(path.name for path in tmp_path.glob("*put*")) == ["put.jsonl"]


@pytest.mark.parametrize("remote", [False, True])
@pytest.mark.parametrize("labels", ["class", "number"])
def test_parquet_has_three_columns_of_text(tmp_path, bucket, remote, labels):
    import io

    import pyarrow
    from pyarrow import parquet

    output = f"{bucket}/put.parquet" if remote else str(tmp_path / "put.parquet")
    observation = run_pipeline(planned(tmp_path, output, parameters={"labels": labels}))
    assert observation.output_rows == len(IDS)
    table = parquet.read_table(io.BytesIO(files.read_bytes(output)))
    assert table.schema.names == ["id", "label", "error"]
    assert [field.type for field in table.schema] == [pyarrow.string()] * 3
    assert [field.nullable for field in table.schema] == [False, True, True]
    of = {"class": lambda outputs: str(as_class(outputs)), "number": lambda o: f"{o[0]:.9f}"}
    assert by_id(table.to_pylist()) == expected(of[labels])


def steps(plan: PipelinePlan) -> set[str]:
    """Return the full names of all transforms of a pipeline."""
    import apache_beam as beam

    pipeline = beam.Pipeline()
    files_of_plan = Outputs.within(plan.work_dir)
    build(pipeline, Tiny(plan.definition, Weights(None)), plan, batch_parts(plan, files_of_plan))
    return set(pipeline.applied_labels)


def test_without_an_output_the_pipeline_is_as_before(tmp_path):
    observation = run_pipeline(planned(tmp_path, "").model_copy(update={"output": None}))
    assert (observation.output_rows, observation.output_end) == (None, None)
    plan = planned(tmp_path, str(tmp_path / "put.jsonl"))
    with_it, without = steps(plan), steps(plan.model_copy(update={"output": None}))
    added = with_it - without
    assert without < with_it
    assert {step.partition("/")[0] for step in added} == {"WriteOutput"}


def test_rows_that_are_not_there_afterwards_fail_the_repeat(tmp_path, monkeypatch):
    monkeypatch.setattr(sinks, "count", lambda _: 39)
    with pytest.raises(RunError, match=r"put\.jsonl: has 39 rows of 40 outputs"):
        run_pipeline(planned(tmp_path, str(tmp_path / "put.jsonl")))


def test_an_object_is_looked_for_before_anything_runs(tmp_path, bucket):
    there = put(f"{bucket}/there.jsonl", b"{}\n")

    def check(output: str, **changed: Any) -> None:
        sinks.check(Target.of(output), **{"overwrite": False, **changed})

    check(f"{bucket}/new.jsonl")
    check(there, overwrite=True)
    with pytest.raises(UsageError, match=r"there\.jsonl: is there already: --overwrite replaces"):
        prepare(for_task(planned(tmp_path, there), "prepare"))
    with pytest.raises(UsageError, match=r"output gs://no-such/a\.jsonl: no such bucket"):
        check("gs://no-such/a.jsonl", overwrite=True)


# --- BigQuery


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A store and a BigQuery that sees its objects, for it loads them; and the environment."""
    try:
        with (
            servers.object_store(tmp_path_factory.mktemp("store")) as store,
            servers.bigquery(tmp_path_factory.mktemp("warehouse"), store) as warehouse,
        ):
            bucket = store.new_bucket()
            yield {**store.environment, **warehouse.environment, "BUCKET": bucket}
    except servers.NotInstalledError as error:
        pytest.skip(str(error))


@pytest.fixture
def dataset(cloud: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty dataset on an emulator, which Beam is told to ask: it has no option for that."""
    from apache_beam.io.gcp.internal.clients.bigquery import BigqueryV2
    from google.cloud import bigquery

    for name, value in cloud.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(BigqueryV2, "BASE_URL", f"{cloud['BIGQUERY_EMULATOR_HOST']}/bigquery/v2/")
    client = bigquery.Client(project="local")
    client.create_dataset("predictions", exists_ok=True)
    for table in client.list_tables("predictions"):
        client.delete_table(table)
    return "local.predictions"


def test_a_table_is_loaded_and_replaced(tmp_path, dataset, cloud):
    from google.cloud import bigquery

    target = f"bq:{dataset}.labels"
    flags = [f"--temp_location={cloud['BUCKET']}/temp", "--project=local"]
    plan = planned(tmp_path, target, beam_flags=flags)
    sinks.check(Target.of(target), overwrite=False)
    for _ in range(2):
        assert run_pipeline(plan).output_rows == len(IDS)
    client = bigquery.Client(project="local")
    schema = client.get_table(f"{dataset}.labels").schema
    assert [(column.name, column.field_type) for column in schema] == [
        ("id", "STRING"),
        ("label", "STRING"),
        ("error", "STRING"),
    ]
    rows = [dict(row.items()) for row in client.query_and_wait(f"SELECT * FROM `{dataset}.labels`")]
    assert by_id(rows) == expected(lambda outputs: str(as_class(outputs)))
    with pytest.raises(UsageError, match=r"labels: is there already: --overwrite replaces it"):
        sinks.check(Target.of(target), overwrite=False)
    sinks.check(Target.of(target), overwrite=True)


def test_a_dataset_that_is_not_there_is_said(dataset):
    with pytest.raises(UsageError, match=r"no dataset local\.nowhere: make it first"):
        sinks.check(Target.of("bq:local.nowhere.labels"), overwrite=True)


def test_a_dataset_may_be_called_what_it_holds(monkeypatch):
    from google.api_core.exceptions import NotFound

    class Client:
        def get_dataset(self, name: str, **_: object) -> None:
            raise NotFound(f"Not found: Dataset {name}")

    monkeypatch.setattr(sinks, "_client_of", lambda _: (Client(), "local.no_tables.labels"))
    with pytest.raises(UsageError, match=r"no dataset local\.no_tables: make it first"):
        sinks.check(Target.of("bq:local.no_tables.labels"), overwrite=True)
