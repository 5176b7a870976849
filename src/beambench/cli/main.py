"""The command line: one verb a file, errors as one line, exit codes that scripts can rely on."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from beambench import __version__
from beambench.cli import doctor, history, listing, run, settings, show, validate
from beambench.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, BeambenchError, UsageError

EPILOG = (
    "Precedence: command line > environment (BEAMBENCH_*) > project file (beambench.yaml) > "
    "definition > default. Exit codes: 0 fine, 2 bad usage or definition, 3 the run failed or "
    "could not start, 124 timed out, 130 interrupted."
)

app = typer.Typer(
    name="beambench",
    help="Benchmarks for machine-learning inference in Apache Beam pipelines.",
    epilog=EPILOG,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run", epilog=EPILOG)(run.run)
app.command("list")(listing.list_benchmarks)
app.command("show")(show.show)
app.command("validate")(validate.validate)
app.command("history")(history.history)
app.command("doctor")(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"beambench {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Benchmarks for machine-learning inference in Apache Beam pipelines."""


def main() -> None:
    """Entry point of the `beambench` command."""
    sys.exit(execute(sys.argv[1:]))


def execute(arguments: list[str]) -> int:
    """Run one command line; return its exit code."""
    ours, beam_flags = split_beam_flags(arguments)
    try:
        settings.check_environment()
        if beam_flags is not None and "run" not in ours[:1]:
            raise UsageError("Beam flags after -- go with `beambench run` only")
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
        return complain(error.format_message().replace("\n", " "), EXIT_USAGE)
    except (KeyboardInterrupt, typer.Abort):
        return complain("interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output went away (`beambench list | head`): no error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED


def complain(message: str, code: int) -> int:
    """Print one line to stderr; return the exit code."""
    line = " ".join(message.split())
    print(f"beambench: {line}", file=sys.stderr)  # noqa: T201
    return code


def split_beam_flags(arguments: list[str]) -> tuple[list[str], list[str] | None]:
    """Split a command line at the first `--`: what follows it are Beam's own flags."""
    if "--" not in arguments:
        return arguments, None
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


if __name__ == "__main__":
    main()
