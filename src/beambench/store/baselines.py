"""The baselines of a store: named sets of its runs."""

from __future__ import annotations

import sqlalchemy as sa
from pydantic import ValidationError

from beambench.credentials.masking import masked_url
from beambench.errors import StoreError, UsageError
from beambench.printable import printable
from beambench.record.baseline import SCHEMA_VERSION, Baseline
from beambench.store import tables
from beambench.store.tables import baselines, store_errors


class BaselineNameError(StoreError, UsageError):
    """A name that is taken (exit code 2)."""


class BaselineStore:
    """Baselines in a database. Every method raises StoreError, in one line."""

    def __init__(self, engine: sa.Engine, url: str) -> None:
        self._url = url
        self._reader = engine
        self._writer = engine.execution_options(**tables.WRITES)

    def add(self, baseline: Baseline, *, replace: bool = False) -> None:
        """Keep a baseline. Raises BaselineNameError if its name is taken, unless it is replaced."""
        row = {
            "name": baseline.name,
            "created_at": baseline.created_at,
            "document": baseline.model_dump_json(),
        }
        with store_errors(self._url), self._writer.begin() as connection:
            if replace:
                connection.execute(baselines.delete().where(baselines.c.name == baseline.name))
            try:
                connection.execute(baselines.insert().values(row))
            except sa.exc.IntegrityError:
                raise BaselineNameError(
                    f"baseline {printable(baseline.name)}: is there already: give another name, or "
                    "--replace"
                ) from None

    def get(self, name: str) -> Baseline | None:
        """Return the baseline of a name, or None."""
        return next((each for each in self.all() if each.name == name), None)

    def all(self) -> list[Baseline]:
        """Return all baselines by name."""
        query = sa.select(baselines.c.name, baselines.c.document).order_by(baselines.c.name)
        with store_errors(self._url), self._reader.connect() as connection:
            rows = connection.execute(query).all()
        return [self._parse(row.name, row.document) for row in rows]

    def remove(self, name: str) -> bool:
        """Remove a baseline; its runs stay. Return whether it was there."""
        with store_errors(self._url), self._writer.begin() as connection:
            done = connection.execute(baselines.delete().where(baselines.c.name == name))
        return bool(done.rowcount)

    def _parse(self, name: str, document: str) -> Baseline:
        try:
            return Baseline.model_validate_json(document)
        except ValidationError as error:
            raise StoreError(
                f"{masked_url(self._url)}: baseline {printable(name)}: cannot be read; this "
                f"beambench reads schema {SCHEMA_VERSION}: upgrade beambench if it is newer"
            ) from error
