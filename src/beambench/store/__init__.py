"""Where run records are kept: SQLite by default. Local first: a run is stored before all else."""

from beambench.store.run_store import RunIdError, RunStore, default_url
from beambench.store.summaries import RunSummary
from beambench.store.tables import sqlite_url

__all__ = ["RunIdError", "RunStore", "RunSummary", "default_url", "sqlite_url"]
