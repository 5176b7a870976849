"""The command line: one verb a file, errors as one line, exit codes that scripts can rely on."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from beambench.cli import settings
from beambench.cli.console import process, terminal
from beambench.cli.console.messages import say
from beambench.cli.delivery.publishers import NamesPublishers
from beambench.cli.invocation import Invocation
from beambench.clock import Clock
from beambench.errors import EXIT_INTERRUPTED, EXIT_USAGE, BeambenchError, UsageError
from beambench.version import __version__

EPILOG = (
    "Precedence: command line > environment (BEAMBENCH_*) > project file (beambench.yaml) > "
    "definition > default. Exit codes: 0 fine, 1 a regression, 2 bad usage or definition, 3 the "
    "run failed or could not start, 4 inconclusive under --strict, 5 results kept but not "
    "published, 124 timed out, 130 interrupted, 141 the reader of stdout went away."
)

VERBS = {
    "run": "run:run",
    "list": "listing:list_benchmarks",
    "show": "show:show",
    "options": "options:options",
    "validate": "validate:validate",
    "history": "watch.history:history",
    "alarms": "watch.alarms:alarms",
    "backtest": "watch.backtest:backtest",
    "baseline": "watch.baseline:baseline",
    "check": "watch.check:check",
    "compare": "comparison.compare:compare",
    "report": "report:report",
    "cost": "cost:cost",
    "publish": "delivery.publish:publish",
    "export": "delivery.exchange:export_runs",
    "import": "delivery.exchange:import_runs",
    "new": "new:new",
    "metrics": "metrics:metrics",
    "doctor": "doctor:doctor",
}
"""Name -> ``module:function`` in this package; imported once the verb is asked for."""

RUNNING_VERBS = ("run", "compare")
"""Verbs that run something: Beam's own flags may follow them after --."""

app = typer.Typer(
    name="beambench",
    help="Benchmarks for machine-learning inference in Apache Beam pipelines.",
    epilog=EPILOG,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Commands(Mapping[str, TyperCommand]):
    """The verbs; to make all their commands takes as long as to read the catalog."""

    def __getitem__(self, name: str) -> TyperCommand:
        return _command(name, VERBS[name])

    def __iter__(self) -> Iterator[str]:
        return iter(VERBS)

    def __len__(self) -> int:
        return len(VERBS)


@functools.cache
def _command(name: str, target: str) -> TyperCommand:
    module, _, function = target.partition(":")
    verb = typer.Typer(add_completion=False, rich_markup_mode=None)
    epilog = EPILOG if name in RUNNING_VERBS else None
    callback = getattr(importlib.import_module(f"beambench.cli.{module}"), function)
    verb.command(name, cls=NamesPublishers, epilog=epilog)(callback)
    command = typer.main.get_command(verb)
    assert isinstance(command, TyperCommand)
    return command


@functools.cache
def root_command() -> TyperGroup:
    """Return the command `beambench`, with all verbs."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    group.commands = Commands()  # type: ignore[assignment] # it is only read
    return group


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


def execute(arguments: list[str], clock: Clock | None = None) -> int:
    """Run one command line; return its exit code.

    Args:
        arguments: without the name of the program.
        clock: by which runs wait and are dated; None: that of this machine.
    """
    ours, beam_flags = split_beam_flags(arguments)
    try:
        check_text(arguments)
        settings.check_environment()
        if beam_flags is not None and not set(ours[:1]) & set(RUNNING_VERBS):
            verbs = " and ".join(f"`beambench {verb}`" for verb in RUNNING_VERBS)
            raise UsageError(f"Beam flags after -- go with {verbs} only")
        project = settings.project_settings()
        code = root_command()(
            ours or ["--help"],
            prog_name="beambench",
            standalone_mode=False,
            obj=Invocation(beam_flags or (), clock),
            default_map=settings.default_map(project, VERBS),
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
