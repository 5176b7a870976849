"""The options that only `beambench compare` has, as its function takes them."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

WantedArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME...|RUN RUN",
        help="Benchmarks to measure now, or two stored runs: base and candidate.",
    ),
]
BaseOption = Annotated[
    str | None,
    typer.Option(
        "--base",
        metavar="SETTINGS",
        help="What the candidates are compared with: key=value, with commas or spaces between: "
        "`variant`, `runner`, `input`, or any key of --set. Default: the definition as it is.",
    ),
]
CandidateOption = Annotated[
    list[str] | None,
    typer.Option(
        "--candidate",
        metavar="SETTINGS",
        help="A configuration to compare with the base, as --base; can be repeated.",
    ),
]
BasePythonOption = Annotated[
    str | None,
    typer.Option(metavar="PATH", help="Python of another environment for the base's workers."),
]
CandidatePythonOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="Python of another environment, with the same beambench, for the candidates' workers.",
    ),
]
ControlOption = Annotated[
    bool, typer.Option("--control", help="Also measure the base against itself (A/A).")
]
ScheduleOption = Annotated[
    Literal["interleaved", "duet"],
    typer.Option(
        help="How pairs are measured: interleaved, one side after the other on all cores; or duet, "
        "both at the same time, each on half of them."
    ),
]
PairsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Repeats of each side, in turns. Default: 6; with --max-time or --until what fits, "
        "60 at most.",
    ),
]
MaxTimeOption = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Begin no pair that would not end in time: 90s, 5m, 1h."),
]
UntilOption = Annotated[
    str | None,
    typer.Option(
        metavar="'ci<2%'",
        help="End once the interval of the throughput's ratio is within this of it.",
    ),
]
AcceptDisturbedOption = Annotated[
    bool,
    typer.Option(
        "--accept-disturbed", help="Let pairs count that other work on this machine disturbed."
    ),
]
ResumeOption = Annotated[
    str | None,
    typer.Option(metavar="COMPARISON", help="Measure the pairs that a comparison is missing."),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Exit with code 4 where the verdict is inconclusive.")
]
BaseLabelOption = Annotated[
    list[str] | None,
    typer.Option(
        "--base-label",
        metavar="KEY=VALUE",
        help="Of all benchmarks in the store, the newest run with this label is the base; can be "
        "repeated.",
    ),
]
CandidateLabelOption = Annotated[
    list[str] | None,
    typer.Option(
        "--candidate-label",
        metavar="KEY=VALUE",
        help="Likewise for the candidate; can be repeated.",
    ),
]
AllowDifferentOption = Annotated[
    bool,
    typer.Option("--allow-different", help="Compare runs that are not alike, and say in what."),
]
MarginOption = Annotated[
    str, typer.Option(metavar="PERCENT", help="Change up to which both are the same.")
]

SAME = (
    "variant",
    "runner",
    "source",
    "labels_file",
    "limit",
    "options_file",
    "seed",
    "timeout",
    "max_failed",
)
"""Parameters that every side has, as `run` has them."""

OWN = (
    "base_python",
    "candidate_python",
    "control",
    "schedule",
    "pairs",
    "max_time",
    "until",
    "accept_disturbed",
    "retry_disturbed",
)
"""Parameters of the measurement of all sides."""

LIVE = (
    *SAME,
    *OWN,
    "base",
    "candidates",
    "resume",
    "profile",
    "overrides",
    "definitions",
    "label",
    "dry_run",
)
"""Parameters that go with what is measured now, not with stored runs."""

STORED = ("allow_different", "base_labels", "candidate_labels")

WITH_RESUME = ("resume", "store", "as_json", "form", "margin", "strict")
"""Parameters that a comparison does not have of its own."""
