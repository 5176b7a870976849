"""How long the import of years of the old suite's rows takes.

    .venv/bin/python benchmarks/import_history.py [--years 3] [--rounds 6]

Generates one run a day in exactly the rows of Beam's suite (`tests/old_suite.py`), as the JSON
lines that an export of the BigQuery table has, and times `beambench import FILE`, a process of its
own, into a new SQLite store; then `beambench history` once.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from beambench.analysis.intervals import median, median_interval
from old_suite import days

NAME = "pytorch-image-classification-resnet101"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--years", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        rows = [row for one in days(365 * options.years) for row in one]
        with file.open("w", encoding="utf-8") as lines:
            for row in rows:
                when = f"{row['timestamp']:%Y-%m-%d %H:%M:%S.%f} UTC"
                lines.write(json.dumps({**row, "timestamp": when}) + "\n")
        seconds = []
        for number in range(options.rounds):
            store = f"sqlite:///{folder}/runs{number}.db"
            command = [sys.executable, "-m", "beambench.cli.main"]
            begin = time.perf_counter()
            done = subprocess.run(
                [*command, "import", str(file), "--benchmark", NAME, "--store", store],
                check=True,
                capture_output=True,
                text=True,
            )
            seconds.append(time.perf_counter() - begin)
        shown = subprocess.run(
            [*command, "history", NAME, "--limit", "5", "--store", store],
            check=True,
            capture_output=True,
            text=True,
        )
    print(f"{len(rows)} rows: {done.stdout.strip()}")
    print(
        f"median {median(seconds):.2f} s, interval {median_interval(seconds)}, n = {len(seconds)}"
    )
    print(shown.stdout)


if __name__ == "__main__":
    main()
