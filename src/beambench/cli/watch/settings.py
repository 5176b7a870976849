"""What verbs that watch histories have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from beambench.cli.settings import PROJECT_FILE, project_settings

if TYPE_CHECKING:
    from beambench.analysis.change_points.policy import AlarmPolicy

PolicyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--policy",
        metavar="NAME=NUMBER",
        help="A setting of the alarm policy, such as threshold=4.0; can be repeated.",
    ),
]


def policy_in_force(texts: list[str] | None) -> AlarmPolicy:
    """Return the policy of the project file, with what the command line sets."""
    from beambench.watch.policy import assignments, policy_of

    of_project = project_settings().get("alarm_policy", {})
    policy_of(of_project, f"{PROJECT_FILE}: alarm_policy")
    return policy_of(of_project | assignments(texts or (), "--policy"), "--policy")
