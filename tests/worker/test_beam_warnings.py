"""What Beam's inference code warns of is kept for the record, and logged as before."""

import logging
import warnings

import pytest

from beambench.errors import RunError
from beambench.worker.beam_warnings import LONGEST_TEXT, MAX_WARNINGS, recorded_warnings

BEAM = "/site-packages/apache_beam/ml/inference/pytorch_inference.py"
SWITCH = "Model handler specified a 'GPU' device, but GPUs are not available. Switching to CPU."


def log(text: str, path: str = BEAM, level: int = logging.WARNING) -> None:
    logger = logging.getLogger()
    logger.handle(logger.makeRecord("root", level, path, 7, text, (), None))


def test_a_switch_to_the_cpu_is_said_once_in_words_of_the_run(caplog):
    with recorded_warnings() as recorded:
        log(SWITCH)
        log(SWITCH)
    assert recorded.texts == [f"a handler asked for a GPU and ran on the CPU: {SWITCH}"]
    assert [record.getMessage() for record in caplog.records] == [SWITCH, SWITCH]
    log("after")
    assert len(recorded.texts) == 1


def test_a_switch_in_another_process_is_read_out_of_what_the_runner_prints():
    with recorded_warnings() as recorded:
        log(
            f'Worker: severity: WARN timestamp {{ seconds: 1 }} message: "{SWITCH}" '
            f'instruction_id: "b" log_location: "{BEAM}:104" thread: "T"',
            path="/site-packages/apache_beam/runners/portability/local_job_service.py",
        )
    assert recorded.switch == SWITCH


@pytest.mark.parametrize(
    ("path", "level"),
    [("/site-packages/apache_beam/io/filesystem.py", logging.WARNING), (BEAM, logging.INFO)],
)
def test_other_code_and_lesser_levels_are_left_out(path, level):
    with recorded_warnings() as recorded:
        log("something", path, level)
    assert (recorded.texts, recorded.switch) == ([], None)


def test_warnings_are_bounded_in_number_and_length():
    with recorded_warnings() as recorded:
        for number in range(2 * MAX_WARNINGS):
            log(f"{number}\n" + "x" * 1000)
    assert len(recorded.texts) == MAX_WARNINGS
    assert recorded.texts[0] == ("0 " + "x" * 1000)[:LONGEST_TEXT]


def test_onnx_runtime_without_a_gpu_counts_as_a_switch():
    said = "Specified provider 'CUDAExecutionProvider' is not in available provider names."
    with pytest.warns(UserWarning) as shown, recorded_warnings() as recorded:  # noqa: PT030, PT031
        warnings.warn(said, stacklevel=1)
        warnings.warn("something else", stacklevel=1)
    assert [str(line.message) for line in shown] == [said, "something else"]
    assert len(recorded.texts) == 1
    assert recorded.texts[0].startswith("a handler asked for a GPU and ran on the CPU: Specified ")


def test_a_benchmark_that_is_defined_for_a_gpu_fails_without_it():
    with recorded_warnings() as recorded:
        log(SWITCH)
    recorded.check_device("cpu")
    with pytest.raises(RunError, match=r"model\.device gpu: the model ran on the CPU: Model"):
        recorded.check_device("gpu")


def test_a_users_own_logging_can_still_be_set_up(monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with recorded_warnings():
        assert logging.getLogger().handlers == []
