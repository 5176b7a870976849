"""The command line: one verb a file, errors as one line, exit codes that scripts can rely on."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from beambench.cli import (
    cost,
    doctor,
    exchange,
    history,
    listing,
    new,
    options,
    publish,
    run,
    settings,
    show,
    validate,
)
from beambench.cli.console import process, terminal
from beambench.cli.console.messages import say
from beambench.cli.publishers import NamesPublishers
from beambench.errors import EXIT_INTERRUPTED, EXIT_USAGE, BeambenchError, UsageError
from beambench.version import __version__

EPILOG = (
    "Precedence: command line > environment (BEAMBENCH_*) > project file (beambench.yaml) > "
    "definition > default. Exit codes: 0 fine, 2 bad usage or definition, 3 the run failed or "
    "could not start, 5 results kept but not published, 124 timed out, 130 interrupted, 141 the "
    "reader of stdout went away."
)

RUNNING_VERBS = ("run",)
"""Verbs that run something: Beam's own flags may follow them after --."""

app = typer.Typer(
    name="beambench",
    help="Benchmarks for machine-learning inference in Apache Beam pipelines.",
    epilog=EPILOG,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run", cls=NamesPublishers, epilog=EPILOG)(run.run)
app.command("list")(listing.list_benchmarks)
app.command("show")(show.show)
app.command("options")(options.options)
app.command("validate")(validate.validate)
app.command("history")(history.history)
app.command("cost")(cost.cost)
app.command("publish", cls=NamesPublishers)(publish.publish)
app.command("export")(exchange.export_runs)
app.command("import", cls=NamesPublishers)(exchange.import_runs)
app.command("new")(new.new)
app.command("doctor")(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"beambench {__version__}")
        raise typer.Exit


@app.callback()
def beambench(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Benchmarks for machine-learning inference in Apache Beam pipelines."""


def main() -> None:
    """Run the command line of this process, and end the process."""
    terminal.open_streams()
    process.run_and_exit(lambda: terminal.close(execute(sys.argv[1:])))


def execute(arguments: list[str]) -> int:
    """Run one command line; return its exit code."""
    ours, beam_flags = split_beam_flags(arguments)
    try:
        check_text(arguments)
        settings.check_environment()
        if beam_flags is not None and not set(ours[:1]) & set(RUNNING_VERBS):
            verbs = " and ".join(f"`beambench {verb}`" for verb in RUNNING_VERBS)
            raise UsageError(f"Beam flags after -- go with {verbs} only")
        project = settings.project_settings()
        code = app(
            ours or ["--help"],
            prog_name="beambench",
            standalone_mode=False,
            obj=beam_flags or [],
            default_map=settings.default_map(project),
        )
        return int(code or 0)
    except BeambenchError as error:
        return complain(str(error), error.exit_code)
    except TyperException as error:
        return complain(described(error), EXIT_USAGE)
    except (KeyboardInterrupt, typer.Abort):
        return complain("interrupted", EXIT_INTERRUPTED)


def complain(message: str, code: int) -> int:
    """Print one line to stderr; return the exit code."""
    say(message)
    return code


def check_text(arguments: list[str]) -> None:
    """Refuse arguments that are no text (bytes that are not UTF-8): no record could hold them."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UsageError(_no_text(argument)) from None


def _no_text(argument: str) -> str:
    try:
        text = os.fsencode(argument).decode()
    except UnicodeError:
        return f"argument {argument!r} is not UTF-8 text: rename the file"
    encoding = sys.getfilesystemencoding().upper()
    return f"argument {text!r}: the locale of this shell has only {encoding}: set LC_ALL=C.UTF-8"


def described(error: TyperException) -> str:
    """Say what is wrong with a command line: the value, where it came from, and where to look."""
    context: Any = getattr(error, "ctx", None)
    problems = getattr(error.__cause__, "errors", None)
    if context is None:
        return error.format_message()
    if problems is None:
        text = error.format_message()
        stop = "" if text.endswith((".", "?")) else "."
        return f"{text}{stop} See `{context.command_path} --help`"
    first = problems()[0]
    reason = first["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{_origin(error, first['input'])}: {reason[:1].lower()}{reason[1:]}"


def _origin(error: Any, value: object) -> str:
    """Name an option as the user wrote it: on the command line, in the environment or in a file."""
    parameter = error.param
    source = error.ctx.get_parameter_source(parameter.name).name
    if source == "ENVIRONMENT":
        return f"{parameter.envvar}={value}"
    if source == "DEFAULT_MAP":
        return f"{settings.PROJECT_FILE}: {parameter.name}: {value}"
    return f"{parameter.opts[0]} {value}"


def split_beam_flags(arguments: list[str]) -> tuple[list[str], list[str] | None]:
    """Split a command line at the first `--`: what follows it are Beam's own flags."""
    if "--" not in arguments:
        return arguments, None
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]
