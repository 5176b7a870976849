"""Weights in an object store, loaded by Beam's own handlers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from platformdirs import user_cache_dir

from beambench.definition.library import Library
from beambench.definition.plan import Preparation, PreparePlan
from beambench.errors import RunError, UsageError
from beambench.record.observation import Prepared
from beambench.worker.tasks import prepare, run_reference
from beambench.workloads.registry import load_class
from buckets import put
from tiny_workloads import for_task, make_plan

pytestmark = pytest.mark.real

SMALL = ("parameters.resize=64", "parameters.crop=64")


def planned(folder: Path, name: str, weights: str, path: str, *overrides: str) -> PreparePlan:
    given = [f"model.weights={weights}"] + ([f"model.path={path}"] if path else [])
    definition = Library().resolve(name, overrides=[*given, *overrides]).definition
    cache = user_cache_dir("beambench", appauthor=False)
    source = definition.input.source
    return make_plan(
        folder, "prepare", definition=definition, source=source, limit=12, cache_dir=cache
    )


def ready(plan: PreparePlan) -> Prepared:
    prepared = prepare(plan).prepared
    assert prepared is not None
    return prepared


def labels(plan: PreparePlan, prepared: Prepared) -> dict[str, Any]:
    preparation = Preparation.model_validate(prepared.preparation)
    sample = run_reference(for_task(plan, "reference", preparation=preparation)).sample
    assert [prediction.error for prediction in sample] == [None] * 12
    return {prediction.id: prediction.label for prediction in sample}


@pytest.mark.parametrize(
    ("name", "kind", "overrides"),
    [
        ("sklearn-digits", "trained", []),
        ("onnx-digits", "trained", []),
        ("pytorch-image-classification-efficientnet-lite0", "random", SMALL),
    ],
)
def test_a_model_in_a_bucket_is_the_one_that_was_put_there(tmp_path, bucket, name, kind, overrides):
    here = planned(tmp_path, name, kind, "", *overrides)
    local = ready(here)
    path = Path(local.preparation["weights_path"])
    address = put(f"{bucket}/models/{path.name}", path.read_bytes())
    there = planned(tmp_path, name, "file", address, *overrides)
    remote = ready(there)
    assert remote.preparation["weights_path"] == address
    assert remote.weights_digest == local.weights_digest
    assert remote.weights_size == path.stat().st_size
    assert labels(there, remote) == labels(here, local)


def test_weights_that_are_not_there_or_of_another_size_are_refused(tmp_path, bucket):
    address = put(f"{bucket}/model.pkl", b"0" * (1 << 20))
    with pytest.raises(UsageError, match=r"^model\.path gs://.*/gone\.pkl: no such object$"):
        prepare(planned(tmp_path, "sklearn-digits", "file", f"{bucket}/gone.pkl"))
    with pytest.raises(UsageError, match=r"^model\.path gs://no-such/m\.pkl: no such bucket$"):
        prepare(planned(tmp_path, "sklearn-digits", "file", "gs://no-such/m.pkl"))
    with pytest.raises(RunError, match=r"size_mib says 5 MiB but gs://.* has 1\.0 MiB"):
        prepare(planned(tmp_path, "sklearn-digits", "file", address, "model.size_mib=5"))


def test_what_needs_files_beside_it_stays_on_this_machine():
    name = "huggingface-pipeline-minilm"
    overrides = ["model.weights=file", "model.path=gs://bucket/model.safetensors"]
    definition = Library().resolve(name, overrides=overrides).definition
    with pytest.raises(UsageError, match=r"config and tokenizer lie beside it"):
        load_class(definition.workload).check(definition)
