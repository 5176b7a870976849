"""A pipeline that exists already is measured as Beam measures it, and does what it did before."""

import re
import sys
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

import existing_pipelines
from beambench.controller.proof.cross_check import cross_check
from beambench.controller.proof.element_flow import problem_of
from beambench.controller.repeats import make_repeat, metrics_of
from beambench.definition.plan import ExistingPlan
from beambench.errors import RunError, UsageError
from beambench.record.observation import Observation
from beambench.runners.direct.beam.existing_task import load_function, run_existing
from beambench.runners.direct.runner import DIRECT
from beambench.worker.wrapped_errors import STEP

pytestmark = pytest.mark.real


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.txt"


def observe(function: str, output: Path, *flags: str) -> Observation:
    plan = ExistingPlan(
        pipeline=f"existing_pipelines:{function}",
        argv=["--output", str(output), "--direct_num_workers=1", *flags],
        seed=3,
        function=str(DIRECT.existing),
        work_dir=str(output.parent),
        cache_dir=str(output.parent),
        project_dir=str(output.parent),
        epoch_ns=0,
        slot_us=1_000_000,
    )
    return run_existing(ExistingPlan.model_validate_json(plan.model_dump_json()))


def numbers(path: Path) -> list[str]:
    return sorted(path.read_text().split(), key=lambda line: int(line.split(",")[0]))


def counts(beam_metrics: dict[str, Any]) -> tuple[int, int, int]:
    """Return elements, batches and elements of batches as Beam counted them."""
    size = beam_metrics["inference_request_batch_size"]
    return beam_metrics["num_inferences"]["value"], size["count"], size["sum"]


def test_elements_and_batches_are_those_that_beam_counts(output):
    observation = observe("run", output, "--count=22")
    assert numbers(output) == [f"{number},{number + 1}" for number in range(22)]
    (step,) = observation.steps.values()
    assert list(observation.steps) == ["Infer"]
    assert step.handler == "Successor"
    assert counts(step.beam_metrics) == (22, 6, 22)
    measured = observation.measured
    assert measured is not None
    assert (measured.elements, measured.batches) == (22, 6)
    assert measured.batch_sizes == {4: 5, 2: 1}
    assert observation.latency_gap is not None
    checked = cross_check(measured, step.beam_metrics, observation.latency_gap)
    assert checked["empty_handler"]["calls"] == observation.latency_gap.calls == 100
    assert [
        difference for difference in checked["differences"] if "latency" not in difference
    ] == []
    assert measured.loads is not None
    assert measured.loads.count == 1
    assert (measured.first_read, measured.last_output, measured.stages) == (None, None, None)
    assert measured.inference_window is not None
    begin, end = measured.inference_window
    assert measured.batch_latency is not None
    # The window begins where the first of the six batches ended.
    assert end - begin >= (measured.batch_latency.sum - measured.batch_latency.max) // 1000 - 1
    assert observation.runner["implementation"] == "FnApiRunner, in_memory"
    assert observation.warnings == []
    assert observation.proof is None
    size = step.beam_metrics["inference_request_batch_size"]
    values = observation.distribution(size["namespace"], "inference_request_batch_size")
    assert values is not None
    assert values.sum == 22
    assert observation.counter("existing", "inferred") == 22  # the handler's own
    assert observation.counter("existing", "nothing") is None


def test_a_failed_batch_fails_the_pipeline_as_it_did_before(output):
    with pytest.raises(RunError) as caught:
        observe("run", output, "--fails", "7")
    file = existing_pipelines.__file__
    lines = Path(file).read_text().splitlines()
    at = next(n for n, line in enumerate(lines, 1) if "raise ValueError(f" in line)
    said = STEP.sub("", str(caught.value))
    assert said == f"existing_pipelines:run: ValueError: cannot infer 7 ({file}:{at})"


def test_a_failed_batch_goes_to_the_dead_letters_whole_as_it_did_before(output, tmp_path):
    observation = observe("with_dead_letters", output, "--count=12", "--fails", "5")
    plain = tmp_path / "plain.txt"
    existing_pipelines.with_dead_letters(
        ["--output", str(plain), "--count=12", "--fails", "5"], beam.Pipeline(FnApiRunner())
    )
    bad = Path(f"{output}-bad").read_text()
    assert numbers(output) == numbers(plain) == [str(n) for n in (1, 2, 3, 4, 9, 10, 11, 12)]
    assert bad == Path(f"{plain}-bad").read_text() == "[4, 5, 6, 7]\n"
    (step,) = observation.steps.values()
    assert counts(step.beam_metrics) == (8, 2, 8)
    assert (step.measured.elements, step.measured.batches) == (8, 2)


def test_steps_are_told_apart_and_a_pipeline_that_was_not_run_is_run(output):
    observation = observe("twice", output, "--count=20")
    assert numbers(output) == [str(number) for number in range(2, 12)]
    assert list(observation.steps) == ["First", "Outer/RunInference"]
    first, second = observation.steps.values()
    assert counts(first.beam_metrics) == (20, 5, 20)
    assert (first.measured.elements, first.measured.batches) == (20, 5)
    assert counts(second.beam_metrics)[0] == second.measured.elements == 10
    assert counts(second.beam_metrics)[1] == second.measured.batches
    assert observation.measured is not None
    assert observation.measured.elements == 30
    assert observation.measured.batches == 5 + second.measured.batches
    assert observation.warnings[0] == "the function did not run its pipeline: beambench did"
    assert observation.warnings[1].startswith("2 RunInference steps (First, Outer/RunInference): ")


def test_models_for_keys_are_measured_each_and_the_difference_to_beam_is_said(output):
    observation = observe("per_key", output, "--count=20")
    assert numbers(output) == [str(number) for number in range(1, 21)]
    (step,) = observation.steps.values()
    assert step.handler == "Successor, Successor"
    assert counts(step.beam_metrics)[0] == step.measured.elements == 20
    assert any("has models for keys" in warning for warning in observation.warnings)


def test_without_inference_only_the_process_is_known(output, make_result):
    observation = observe("without_inference", output)
    assert observation.steps == {}
    assert any("no RunInference" in warning for warning in observation.warnings)
    result = make_result(observation)
    metrics = metrics_of(result, None).values
    repeat = make_repeat("pipeline", 0, result, None, 0.0, metrics)
    assert set(repeat.metrics) == {"run_time", "peak_memory"}
    assert (repeat.verification, repeat.cross_check, repeat.beam_metrics) == (None, {}, {})


def test_a_function_may_exit_when_all_is_done(output):
    assert observe("exits_well", output).steps["Infer"].measured.elements == 20


def test_elements_that_a_handler_loses_or_doubles_are_counted(output):
    observation = observe("flawed", output, "--count=10")
    flows = {name: step.flow for name, step in observation.steps.items()}
    counts = {
        name: (flow.elements_in, flow.elements_out, flow.missing, flow.surplus)
        for name, flow in flows.items()
        if flow is not None
    }
    assert counts == {  # in batches of 4, 4 and 2
        "Few": (10, 3, 7, 0),
        "Many": (10, 14, 0, 4),
        "Keyed": (10, 3, 7, 0),
        "KeyedMany": (10, 10, 0, 4),  # zipped with the keys by Beam: results of others
        "Batches": (10, 3, 7, 0),
        "Windows": (20, 20, 0, 0),  # each element is in two
        "Apart": (10, 3, 7, 0),
    }
    said = "Apart: its batches were not seen: Beam takes no metrics from where they ran"
    assert [warning[: len(said)] for warning in observation.warnings if "Apart:" in warning] == [
        said
    ]
    assert "RunInference Few: 10 in, 3 out, 0 failed: 7 lost" in str(problem_of(flows, 1.0))


def test_elements_that_failed_in_each_place_are_counted(output):
    observation = observe("half_failed", output, "--count=20", "--fails", "9")
    assert len(output.read_text().split()) == 20 - 1 - 4 - 1
    (flow,) = (step.flow for step in observation.steps.values())
    assert flow is not None
    assert (flow.elements_in, flow.elements_out, flow.elements_failed) == (20, 14, 6)
    assert (flow.missing, flow.surplus) == (0, 0)
    assert flow.causes == ["ValueError('cannot infer 9')"]


def test_a_gpu_that_is_not_there_is_said(output):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    observation = observe("on_gpu", output, "--count=5")
    said = "a handler asked for a GPU and ran on the CPU: Model handler specified a 'GPU' device"
    assert [warning[: len(said)] for warning in observation.warnings[1:]] == [said]


@pytest.fixture
def make_result():
    from beambench.controller.results import TaskResult

    def make(observation: Observation) -> TaskResult:
        return TaskResult("succeeded", observation, None, 12.5, "", "", {}, 1 << 20, 3)

    return make


@pytest.mark.parametrize(
    ("function", "kind", "words"),
    [
        ("elsewhere", RunError, "built nothing on the test_pipeline that it was given"),
        ("exits_early", UsageError, "existing_pipelines:exits_early: no licence for this"),
        ("exits_badly", RunError, r"exits_badly: sys.exit\(3\) was called after"),
        ("exits_inside", RunError, "sys.exit was called while .*: no licence for"),
        ("swallows_failures", RunError, "swallows_failures: ValueError: only now and then"),
        ("raises", RunError, r"raises: KeyError: 'nothing\\nthere' \(.*existing_pipelines.py:"),
    ],
)
def test_what_a_function_does_wrong_is_one_line(output, function, kind, words):
    with pytest.raises(kind, match=words):
        observe(function, output)


def test_argparse_is_quoted(output, capsys):
    plan = {"pipeline": "existing_pipelines:run", "argv": ["--count", "x"], "seed": 0, "slot_us": 1}
    plan |= {
        "function": "x:y",
        "cache_dir": ".",
        "work_dir": ".",
        "project_dir": ".",
        "epoch_ns": 0,
    }
    with pytest.raises(UsageError) as caught:
        run_existing(ExistingPlan.model_validate(plan))
    assert str(caught.value) == "existing_pipelines:run: argument --count: invalid int value: 'x'"
    plan |= {"argv": []}
    with pytest.raises(UsageError, match=re.escape("arguments are required: --output")):
        run_existing(ExistingPlan.model_validate(plan))
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("function", ["own_parser", "swallows"])
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            ["--max_batch_sise=3"],
            r"--max_batch_sise \(did you mean '--max_batch_size'\?\): neither",
        ),
        (
            ["--direct_num_worker", "2"],
            r"--direct_num_worker \(did you mean '--direct_num_workers'",
        ),
        (["--own_rat", "hunter2"], r"--own_rat \(did you mean '--own_rate'\?\): neither"),
    ],
)
def test_a_flag_that_nothing_reads_is_refused_before_anything_runs(output, function, flags, words):
    with pytest.raises(UsageError, match=f"nothing reads {words}") as caught:
        observe(function, output, *flags)
    assert "hunter2" not in str(caught.value)
    assert not output.exists()


def test_batches_that_were_asked_for_are_told_beside_those_that_were_seen(output):
    observation = observe("batched", output, "--inference_batch_size", "64")
    assert [
        warning
        for warning in observation.warnings
        if "elements" in warning and "steps" not in warning
    ] == [
        "Thrown: nothing reads RunInference(max_batch_size=…): batches had 2 to 4 elements",
        "Low: min_batch_size 64 was reached by no batch: batches had 10 elements",
        "nothing reads Successor(inference_batch_size=…): batches had 2 to 10 elements",
    ]


def test_flags_that_something_reads_pass_in_each_form(output):
    flags = ["--max_batch_size=3", "--own_rate", "5", "--experiments=a", "--no_pipeline_type_check"]
    observation = observe("own_parser", output, *flags, "--max_batch", "4", "--")
    assert [warning for warning in observation.warnings if "argparse" in warning] == []


def test_flags_that_only_the_function_itself_may_have_read_are_said(tmp_path):
    plan = {"pipeline": "existing_pipelines:by_hand", "seed": 0, "slot_us": 1, "epoch_ns": 0}
    argv = [f"--output={tmp_path}/out.txt", "--other", "hunter2", "--direct_num_workers=1"]
    plan |= {"argv": argv, "work_dir": ".", "project_dir": ".", "cache_dir": "."}
    plan |= {"function": "x:y"}
    observation = run_existing(ExistingPlan.model_validate(plan))
    said = "no parser of argparse read --output, --other: does anything else?"
    assert [warning for warning in observation.warnings if "argparse" in warning] == [said]


def test_a_function_that_reads_the_command_line_finds_its_flags_there(output):
    before = list(sys.argv)
    observation = observe("by_command_line", output)
    assert output.read_text() == "existing_pipelines\n"
    assert [warning for warning in observation.warnings if "argparse" in warning] == []
    assert sys.argv == before
    with pytest.raises(UsageError, match="nothing reads --max_batch_sise"):
        observe("by_command_line", output, "--max_batch_sise=3")


def test_beams_own_flags_are_checked(output):
    with pytest.raises(UsageError, match="Beam flags"):
        observe("run", output, "--direct_num_workers=many")
    with pytest.raises(UsageError, match="--runner after --"):
        observe("run", output, "--runner=DirectRunner")


@pytest.mark.parametrize(
    ("pipeline", "words"),
    [
        ("nowhere_at_all:run", "no module 'nowhere_at_all'"),
        ("existing_pipelines:nothing", "existing_pipelines has no function 'nothing'"),
        ("existing_pipelines:not_callable", "3 is not a callable object"),
        ("existing_pipelines:without_argv", "unexpected keyword argument 'argv'"),
        ("existing_pipelines:without_test_pipeline", "unexpected keyword argument 'test_pipeline'"),
        ("existing_pipelines:later", "is a coroutine or a generator"),
        ("existing_pipelines:piecemeal", "is a coroutine or a generator"),
        ("existing_pipelines:needs_model", "missing a required argument: 'model'"),
    ],
)
def test_what_cannot_be_called_is_refused(pipeline, words):
    with pytest.raises(UsageError, match=words):
        load_function(pipeline)


def test_a_module_that_cannot_be_imported_is_refused(tmp_path, monkeypatch):
    (tmp_path / "broken_on_import.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="cannot be imported: ZeroDivisionError: division by zero"):
        load_function("broken_on_import:run")
