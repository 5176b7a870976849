"""What a server said before it gave up, as one line."""

from __future__ import annotations

import logging

import pytest

from beambench.workloads.vllm.server_log import BEAM_MODULE, ServerLog


def reason(*lines: str, module: str = BEAM_MODULE) -> str:
    with ServerLog() as log:
        for line in lines:
            record = logging.makeLogRecord({"module": module, "msg": line, "levelno": logging.INFO})
            logging.getLogger().handle(record)
    return log.reason()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), "it said nothing"),
        (("Starting", " "), "Starting"),
        (
            ("usage: api_server.py [-h]", "api_server.py: error: unrecognized arguments: --x"),
            "api_server.py: error: unrecognized arguments: --x",
        ),
        (
            ("(APIServer pid=12) INFO up", "(EngineCore pid=7) ValueError: too long", "bye"),
            "ValueError: too long bye",
        ),
        (
            ("ValueError: the cause", "RuntimeError: init failed. See root cause above. {}"),
            "ValueError: the cause RuntimeError: init failed. See root cause above. {}",
        ),
        (("OSError: first", "KeyError: last"), "KeyError: last"),
    ],
)
def test_the_last_error_that_was_named(lines, expected):
    assert reason(*lines) == expected


def test_the_engine_says_its_device():
    def device(*lines: str) -> str | None:
        with ServerLog() as log:
            for line in lines:
                log.emit(logging.makeLogRecord({"module": BEAM_MODULE, "msg": line}))
        return log.device()

    started = "(EngineCore pid=7) INFO [core.py:107] Initializing a V1 LLM engine with config: "
    assert device("up", f"{started}seed=0, device_config=cuda, x=1", "ready") == "cuda"
    assert device("up", "ready") is None


def test_it_is_short_and_listens_to_the_server_only():
    assert len(reason("RuntimeError: " + "x" * 1000)) == 300
    assert reason("RuntimeError: of another", module="other") == "it said nothing"


def test_the_root_logger_stays_as_it_was():
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    with ServerLog():
        assert root.isEnabledFor(logging.INFO)
    assert (root.level, list(root.handlers)) == before
