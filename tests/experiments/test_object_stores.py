"""Whole runs that read from an object store and write to one."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from beambench.definition.library import Library
from beambench.inputs import files
from beambench.inputs.lines import digest
from beambench.workloads.images.classification import ImageClassification
from buckets import put
from fast_runs import command_line
from image_benchmarks import EFFICIENTNET

pytestmark = pytest.mark.real

SMALL = ("--set", "parameters.resize=64", "--set", "parameters.crop=64")


def run(folder: Path, *arguments: str, code: int = 0, **environment: str) -> dict[str, Any]:
    store = ("--store", f"sqlite:///{folder}/runs.db")
    with command_line(folder / "here", "run", *arguments, *store, "--json", **environment) as cli:
        assert cli.end() == code, cli.errors
    document: dict[str, Any] = json.loads(cli.output)
    assert (document["status"], document["error"]) == ("succeeded", None)
    return document


def photograph(number: int) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.effect_noise((80, 72), 40 + number).convert("RGB").save(file, "PNG")
    return file.getvalue()


def test_images_weights_and_labels_of_a_bucket_and_predictions_into_it(tmp_path, bucket):
    from pyarrow import parquet

    definition = Library().resolve(EFFICIENTNET, overrides=["model.weights=random"]).definition
    weights = ImageClassification.fetch_weights(definition, 0, tmp_path / "cache").path
    assert isinstance(weights, Path)
    model = put(f"{bucket}/model.pth", weights.read_bytes())
    contents = {f"{number}.png": photograph(number) for number in range(6)}
    for name, content in contents.items():
        put(f"{bucket}/photos/{name}", content)
    put(f"{bucket}/photos/broken.png", b"no image")
    put(f"{bucket}/photos/list.txt", "\n".join([*contents, "broken.png", "gone.png"]).encode())
    labels = put(f"{bucket}/labels.csv", b"".join(b"%d.png,7\n" % n for n in range(6)))
    output = f"{bucket}/predictions/all.parquet"
    document = run(
        tmp_path,
        *(EFFICIENTNET, "--profile", "smoke", "--repeats", "2", "--max-failed", "0.5", *SMALL),
        *("--input", f"{bucket}/photos/list.txt", "--labels", labels),
        *("--set", "model.weights=file", "--set", f"model.path={model}", "--output", output),
    )
    assert document["input"]["kind"] == "list"
    assert document["input"]["count"] == 8
    size = sum(map(len, contents.values())) + len(b"no image")
    assert document["input"]["bytes"] == size
    assert document["model"]["size_mib"] == pytest.approx(weights.stat().st_size / (1 << 20))
    assert document["config"]["output"] == {"target": output, "format": "parquet"}
    assert [repeat["output_rows"] for repeat in document["repeats"]] == [8, 8]
    assert any("written to gs://" in warning for warning in document["warnings"])
    assert any("1 of 8 files missing" in warning for warning in document["warnings"])
    # What was read is counted: bytes a second over elements a second.
    metrics = document["repeats"][0]["metrics"]
    assert metrics["throughput_written"]["n"] == 8
    seconds = size / metrics["throughput_bytes"]["value"]
    assert metrics["throughput_elements"]["value"] * seconds == pytest.approx(6)
    rows = parquet.read_table(io.BytesIO(files.read_bytes(output))).to_pylist()
    rows_by_name = {row["id"].rpartition("/")[2]: row for row in rows}
    assert sorted(rows_by_name) == sorted([*contents, "broken.png", "gone.png"])
    assert rows_by_name["gone.png"]["label"] is None
    assert rows_by_name["gone.png"]["error"].startswith(
        "read: FileNotFoundError: [Errno 2] no such obj"
    )
    assert rows_by_name["broken.png"]["error"].startswith("preprocess: UnidentifiedImageError")
    assert {failure["id"] for failure in document["repeats"][0]["verification"]["failed"]} == {
        rows_by_name["gone.png"]["id"],
        rows_by_name["broken.png"]["id"],
    }
    correct = [rows_by_name[name]["label"] == "7" for name in contents]
    assert metrics["accuracy_top1"]["value"] == pytest.approx(sum(correct) / 6)


def test_sentences_of_a_bucket_are_run_and_each_leaves_a_line(tmp_path, bucket):
    lines = [f"{number} plus {number} is {2 * number}" for number in range(20)]
    source = put(f"{bucket}/lines.tsv", "".join(f"{line}\t1\n" for line in lines).encode())
    output = tmp_path / "out.jsonl"
    output.write_text("of an earlier run")
    document = run(
        tmp_path,
        *("pytorch-text-embedding-minilm", "--profile", "smoke", "--input", source),
        *("--output", str(output), "--overwrite"),
    )
    assert document["input"]["source"] == source
    assert document["input"]["digest"] == digest([line.encode() for line in lines])
    assert document["verification"]["reference_agreement"] == 1.0
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert sorted(int(row["id"]) for row in rows) == list(range(1, 21))
    assert {row["error"] for row in rows} == {None}
    assert document["repeats"][0]["output_rows"] == 20
