"""The `beambench` command, also ``python -m beambench``."""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # Ctrl-C while the lines below are imported ends the process, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from beambench.cli.console.process import exit_on_signals, open_closed_descriptors


def main() -> None:
    """Entry point: what must be in place before the imports, which take half a second."""
    exit_on_signals()
    open_closed_descriptors()
    from beambench.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
