"""A pipeline all of whose own files lie in an object store, as a service needs it."""

from __future__ import annotations

import pytest

from beambench.inputs import files
from beambench.worker.tasks import run_loop, run_pipeline
from buckets import put
from tiny_workloads import for_task, make_plan, prepared

pytestmark = pytest.mark.real

IDS = [str(number) for number in range(40)]


def test_ids_proof_and_predictions_can_lie_in_a_bucket(tmp_path, bucket):
    here = make_plan(tmp_path, preparation=prepared(tmp_path, IDS))
    ids = put(f"{bucket}/job/ids.txt", (tmp_path / "ids.txt").read_bytes())
    there = here.model_copy(
        update={
            "folder": f"{bucket}/job",
            "preparation": here.preparation.model_copy(update={"ids_file": ids}),
        }
    )
    local = run_pipeline(here)
    for leftover in ("proof.json", "predictions.jsonl"):
        (tmp_path / leftover).unlink()
    for _ in range(2):  # the second one removes what the first one left
        remote = run_pipeline(there)
        assert remote.proof == local.proof
        assert len(remote.sample) == len(local.sample) == 32
    assert not (tmp_path / "proof.json").exists()
    written = files.read_bytes(f"{bucket}/job/predictions.jsonl").splitlines()
    assert len(written) == len(IDS)
    assert run_loop(for_task(there, "loop", batch_sizes=[8])).proof == local.proof
