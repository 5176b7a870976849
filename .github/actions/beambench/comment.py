"""Comment on the pull request of a branch, once: the comment of an earlier run is written anew.

REPORT is a Markdown file, ALARMS what `beambench alarms` printed; GITHUB_REPOSITORY,
GITHUB_REF_NAME and GITHUB_TOKEN are those of GitHub Actions. Prints the text; without an open pull
request of the branch that is all.
"""

import os
import sys
from pathlib import Path

from beambench.cancellation import Cancellation
from beambench.clock import SystemClock
from beambench.errors import BeambenchError
from beambench.presentation.markdown import code_block
from beambench.watch.github.client import GitHub
from beambench.watch.github.place import place_of

FIRST_LINE = "<!-- beambench-comment -->"
LONGEST = 60_000

report = Path(os.environ["REPORT"]).read_text("utf-8")
if len(report) > LONGEST // 2:
    report = "The report is too long for a comment: it is in the summary of the workflow run.\n"
alarms = Path(os.environ["ALARMS"]).read_text("utf-8")[: LONGEST // 2]
body = f"{FIRST_LINE}\n{report}\n{code_block(alarms.splitlines())}\n"
print(body)
branch = os.environ["GITHUB_REF_NAME"]
try:
    place = place_of(os.environ["GITHUB_REPOSITORY"], None, needs_token=True)
    github = GitHub(place, SystemClock(Cancellation()))
    for pull in github.pull_requests(branch):
        ours = [
            comment
            for comment in github.comments(pull.number)
            if (comment.body or "").startswith(FIRST_LINE)
        ]
        if ours:
            github.change_comment(ours[0], body)
        else:
            github.comment(pull.number, body)
except BeambenchError as error:
    sys.exit(f"::error::{error}")
