"""Workers elsewhere: what is packaged runs there, and other versions than the job's are refused."""

from __future__ import annotations

import json
import shlex
import sys
import zipfile
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.options.value_provider import RuntimeValueProvider
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.portable_runner import JobServiceHandle
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from beambench.errors import RunError
from beambench.instrumentation.versions import VERSIONS, check_versions, version_flag, versions
from beambench.record.observation import Proof
from beambench.runners.dataflow.packaging import wheels_of
from beambench.version import __version__
from beambench.workloads.base import Weights
from beambench.workloads.pipeline.assembly import batch_parts, build
from beambench.workloads.pipeline.outputs import Outputs
from tiny_workloads import Tiny, make_plan, prepared

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"beambench": "9.9"}, f"the worker has beambench {__version__}, but the job was built "),
        ({"Beam": "2.70.0", "Python": "3.9"}, "but the job was built with Beam 2.70.0, Python 3.9"),
    ],
)
def test_other_versions_are_refused_in_one_line(monkeypatch, changed, message):
    told = {VERSIONS: json.dumps({**versions(), **changed})}
    monkeypatch.setattr(RuntimeValueProvider, "runtime_options", told)
    with pytest.raises(RunError) as caught:
        check_versions()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_same_versions_and_no_job_at_all_are_fine(monkeypatch):
    check_versions()
    monkeypatch.setattr(RuntimeValueProvider, "runtime_options", {VERSIONS: json.dumps(versions())})
    check_versions()


def installed_elsewhere(folder: Path) -> Path:
    """Unpack what is shipped where nothing else of ours is."""
    (folder / "wheels").mkdir()
    for wheel in wheels_of("tiny_workloads:Tiny", None, folder / "wheels"):
        with zipfile.ZipFile(wheel) as content:
            content.extractall(folder / "site")
    return folder / "site"


def run_in(place: Path, folder: Path) -> Proof:
    """Run a pipeline in a worker process that has what lies in `place`."""
    plan = make_plan(folder, preparation=prepared(folder, [str(number) for number in range(20)]))
    command = f"env PYTHONPATH={shlex.quote(str(place))} PYTHONSAFEPATH=1 {sys.executable} -m " + (
        "apache_beam.runners.worker.sdk_worker_main"
    )
    options = PipelineOptions([version_flag()])
    told = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    runner = fn_runner.FnApiRunner(
        default_environment=SubprocessSDKEnvironment(command_string=command),
        provision_info=fn_runner.ExtendedProvisionInfo(
            beam_provision_api_pb2.ProvisionInfo(pipeline_options=told)
        ),
    )
    outputs = Outputs.within(str(folder))
    pipeline = beam.Pipeline(runner=runner, options=options)
    build(pipeline, Tiny(plan.definition, Weights(None)), plan, batch_parts(plan, outputs))
    pipeline.run().wait_until_finish()
    return Proof.model_validate_json(Path(outputs.proof).read_text())


def test_what_is_shipped_is_all_that_a_worker_needs(tmp_path):
    assert run_in(installed_elsewhere(tmp_path), tmp_path).count == 20


def test_a_worker_with_another_beambench_does_no_work(tmp_path):
    place = installed_elsewhere(tmp_path)
    (described,) = place.glob("beambench-*.dist-info/METADATA")
    own = described.read_text().replace(f"\nVersion: {__version__}\n", "\nVersion: 9.9.9\n")
    described.write_text(own)
    with pytest.raises(RuntimeError) as caught:
        run_in(place, tmp_path)
    assert (
        f"the worker has beambench 9.9.9, but the job was built with beambench {__version__}"
        in str(caught.value)
    )
    assert not Path(Outputs.within(str(tmp_path)).predictions).exists()
