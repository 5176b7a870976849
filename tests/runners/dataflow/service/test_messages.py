"""Which of many error messages the record names."""

from __future__ import annotations

import pytest

from beambench.runners.dataflow.service.messages import (
    LONGEST_ERROR,
    MAX_ERRORS,
    STARTED,
    STOPPED,
    Messages,
    one_line,
)
from dataflow_stub import failed

USERS = """Error processing instruction process_bundle-12. Original traceback is
Traceback (most recent call last):
  File "apache_beam/runners/common.py", line 1501, in apache_beam.runners.common.DoFnRunner
  File "/tmp/my_model.py", line 7, in infer
    raise ValueError("no such label: 5")
ValueError: no such label: 5

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/usr/local/lib/python3.11/site-packages/apache_beam/x.py", line 3, in process
    raise RuntimeError(text)
RuntimeError: no such label: 5 [while running 'Infer/BeamML_RunInference-ptransform-44']

"""
RETRIED = (
    "Workflow failed. Causes: S05:Read+Infer failed., The job failed because a work item has "
    "failed 4 times. The work item was attempted on these workers: \n  harness-1\n  harness-2"
)
LOST = f"{RETRIED}\n      Root cause: The worker lost contact with the service.,"
QUOTA = (
    "Workflow failed. Causes: Project my-project has insufficient quota(s) to execute this "
    "workflow with 75 instances in region us-central1."
)


def seen(*texts: str) -> Messages:
    messages = Messages()
    for number, text in enumerate(texts):
        messages.add({"jobMessages": [failed(text, number=number)]})
    return messages


@pytest.mark.parametrize("texts", [(USERS, RETRIED), (RETRIED, USERS), (QUOTA, USERS, RETRIED)])
def test_the_users_own_exception_goes_before_all(texts):
    assert seen(*texts).error == "RuntimeError: no such label: 5"


def test_lost_workers_are_named_as_the_cause():
    assert seen(RETRIED, LOST).error == "The worker lost contact with the service.,"


def test_a_pool_that_could_not_start():
    assert seen(QUOTA).error == QUOTA
    assert seen(QUOTA, RETRIED).error == QUOTA


def test_of_equals_the_latest_counts():
    assert seen("first", "second").error == "second"


def test_no_error_no_reason():
    assert Messages().error is None


def test_errors_are_bounded():
    messages = seen(*(f"{number}" + "x" * 5000 for number in range(50)))
    assert len(messages.errors) == MAX_ERRORS
    assert messages.error_count == 50
    assert {len(text) for text in messages.errors} == {LONGEST_ERROR}
    assert messages.errors[-1].startswith("49")
    assert len(messages.error or "") <= LONGEST_ERROR


@pytest.mark.parametrize("text", ["Traceback (most recent call last):", "Root cause:", "", "\n\n"])
def test_messages_cut_short_are_no_trouble(text):
    assert "\n" not in one_line(text)


@pytest.mark.parametrize("text", [STARTED, STOPPED])
def test_a_message_without_a_time_says_not_when(text):
    messages = Messages()
    messages.add({"jobMessages": [{"messageText": text}]})
    assert (messages.workers_started, messages.workers_stopped, messages.latest) == (
        None,
        None,
        None,
    )
