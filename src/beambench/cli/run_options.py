"""The options of `beambench run`, as its function takes them."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer


class OnStop(str, Enum):
    """What becomes of a job when beambench stops looking at it."""

    leave = "leave"
    cancel = "cancel"


class Reference(str, Enum):
    """What a pipeline can be compared with in the same run."""

    loop = "loop"


NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME...", help="Benchmarks, or definition files."),
]
PipelineOption = Annotated[
    str | None,
    typer.Option(
        metavar="MODULE:FUNCTION",
        help="In place of NAME: measure a pipeline that exists already, unverified; what "
        "follows -- is given to its run(argv, test_pipeline=...).",
    ),
]
NameOption = Annotated[
    str | None, typer.Option(help="With --pipeline: the name to store its runs under.")
]
ProfileOption = Annotated[
    str,
    typer.Option(
        envvar="BEAMBENCH_PROFILE",
        help="How much is run: smoke, local, full; with --runner dataflow full is the default.",
    ),
]
VariantOption = Annotated[
    str, typer.Option(envvar="BEAMBENCH_VARIANT", help="Settings under a name.")
]
RunnerOption = Annotated[
    str, typer.Option(envvar="BEAMBENCH_RUNNER", help="Where the pipeline is executed.")
]
RepeatsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        envvar="BEAMBENCH_REPEATS",
        help="Whole executions; intervals need 6. With --runner dataflow, 1 unless given.",
    ),
]
RetryDisturbedOption = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        envvar="BEAMBENCH_RETRY_DISTURBED",
        help="Repeat what other work on this machine disturbed, so many repeats more at most.",
    ),
]
SourceOption = Annotated[
    str | None,
    typer.Option(
        "--input",
        metavar="PATH",
        help="A directory of images or a text file with one path a line; for text, a file "
        "with one sentence or prompt a line, here or at gs://; `packaged` or `synthetic`. All "
        "elements are used unless --limit is given.",
    ),
]
LabelsFileOption = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="PATH",
        help="Rows of file,class_index (or tabs), for accuracy; `folders`: each picture's class is "
        "the folder that it lies in.",
    ),
]
LimitOption = Annotated[int | None, typer.Option(min=1, help="Elements at most.")]
OverridesOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.SUBKEY=VALUE", help="Change the definition."),
]
OptionsFileOption = Annotated[
    str | None,
    typer.Option(
        "--options-file",
        metavar="PATH",
        help="Flags, one a line, as in Beam's option files; --set and --input go before them.",
    ),
]
ReferenceOption = Annotated[
    Reference | None,
    typer.Option(help="Also run the same work without Beam, in turns, for the efficiency."),
]
SeedOption = Annotated[
    int,
    typer.Option(min=0, envvar="BEAMBENCH_SEED", help="Seed of samples and random weights."),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS", envvar="BEAMBENCH_TIMEOUT", help="Time limit of the whole run."
    ),
]
MaxFailedOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=1.0,
        metavar="SHARE",
        envvar="BEAMBENCH_MAX_FAILED",
        help="Share of failed elements above which the run fails.",
    ),
]
OutputOption = Annotated[
    str | None,
    typer.Option(
        metavar="TARGET",
        help="Write the predictions, in the pipeline that is measured: PATH.jsonl, PATH.txt or "
        "PATH.parquet, here or at gs://..., or bq:PROJECT.DATASET.TABLE.",
    ),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace what is at --output already.")
]
LabelOption = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="A label kept in the record.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be run; run and store nothing.")
]
AttachOption = Annotated[
    str | None,
    typer.Option(
        metavar="JOB_ID",
        help="Resume a Dataflow job that `run` started: follow it, read it back, store the "
        "run. NAME is not needed; if given, its definition must still be that of the job.",
    ),
]
CancelOption = Annotated[
    bool, typer.Option("--cancel", help="With --attach: end the job and store the run.")
]
OnStopOption = Annotated[
    OnStop,
    typer.Option(help="On Ctrl-C or at the time limit: let a Dataflow job go on, or end it."),
]
