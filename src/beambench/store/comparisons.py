"""The comparisons of a store: documents that never change, beside the runs that they compare."""

from __future__ import annotations

import logging

import sqlalchemy as sa
from pydantic import ValidationError

from beambench.credentials.masking import masked_url
from beambench.errors import StoreError, UsageError
from beambench.printable import printable
from beambench.record.comparison import SCHEMA_VERSION, Comparison
from beambench.store import tables
from beambench.store.tables import comparisons, store_errors

CANDIDATES_SHOWN = 5
_log = logging.getLogger(__name__)


class ComparisonIdError(StoreError, UsageError):
    """A beginning that several comparisons have (exit code 2)."""


class ComparisonStore:
    """Comparison documents in a database. Every method raises StoreError, in one line."""

    def __init__(self, engine: sa.Engine, url: str) -> None:
        self._url = url
        self._reader = engine
        self._writer = engine.execution_options(**tables.WRITES)

    def add(self, comparison: Comparison) -> None:
        """Keep a comparison for good. Raises StoreError if its id is taken."""
        row = _row(comparison)
        with store_errors(self._url), self._writer.begin() as connection:
            try:
                connection.execute(comparisons.insert().values(row))
            except sa.exc.IntegrityError as error:
                problem = "is stored already, and a comparison never changes"
                raise self._error(comparison.comparison_id, problem) from error

    def put(self, comparison: Comparison) -> None:
        """Keep a comparison that is being measured, in place of what was kept of it before."""
        same = comparisons.c.comparison_id == comparison.comparison_id
        with store_errors(self._url), self._writer.begin() as connection:
            connection.execute(comparisons.delete().where(same))
            connection.execute(comparisons.insert().values(_row(comparison)))

    def get(self, comparison_id: str) -> Comparison | None:
        """Return the comparison with this id, or the only one whose id begins with it, or None.

        Raises ComparisonIdError for a beginning of several ids, and StoreError for a document that
        cannot be read.
        """
        begins = sa.func.substr(comparisons.c.comparison_id, 1, len(comparison_id)) == comparison_id
        query = sa.select(comparisons.c.comparison_id, comparisons.c.document).where(begins)
        ordered = query.order_by(comparisons.c.created_at.desc(), comparisons.c.comparison_id)
        with store_errors(self._url), self._reader.connect() as connection:
            rows = connection.execute(ordered).all()
        whole = [row for row in rows if row.comparison_id == comparison_id] or rows
        if len(whole) > 1:
            named = ", ".join(printable(row.comparison_id) for row in whole[:CANDIDATES_SHOWN])
            raise ComparisonIdError(
                f"comparison {printable(comparison_id)!r}: {len(whole)} comparisons begin so: "
                f"{named}: give more characters"
            )
        return self._parse(whole[0].comparison_id, whole[0].document) if whole else None

    def benchmarks(self) -> list[str]:
        """Return the names of the benchmarks that were compared, in alphabetical order."""
        with store_errors(self._url), self._reader.connect() as connection:
            return sorted(connection.scalars(sa.select(comparisons.c.benchmark).distinct()))

    def newest(self, benchmark: str, limit: int | None = None) -> list[Comparison]:
        """Return comparisons of a benchmark, the newest first; unreadable ones are warned about."""
        query = (
            sa.select(comparisons.c.comparison_id, comparisons.c.document)
            .where(comparisons.c.benchmark == benchmark)
            .order_by(comparisons.c.created_at.desc(), comparisons.c.comparison_id.desc())
            .limit(limit)
        )
        with store_errors(self._url), self._reader.connect() as connection:
            rows = connection.execute(query).all()
        parsed = []
        for row in rows:
            try:
                parsed.append(self._parse(row.comparison_id, row.document))
            except StoreError as error:
                _log.warning("skipped: %s", error)
        return parsed

    def _parse(self, comparison_id: str, document: str) -> Comparison:
        try:
            return Comparison.model_validate_json(document)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise self._error(
                comparison_id,
                printable(
                    f"its document cannot be read ({where}: {first['msg']}); this beambench reads "
                    f"schema {SCHEMA_VERSION}: upgrade beambench if it is newer"
                ),
            ) from error

    def _error(self, comparison_id: str, problem: str) -> StoreError:
        return StoreError(
            f"{masked_url(self._url)}: comparison {printable(comparison_id)}: {problem}"
        )


def _row(comparison: Comparison) -> dict[str, str]:
    return {
        "comparison_id": comparison.comparison_id,
        "benchmark": comparison.benchmark,
        "created_at": comparison.created_at,
        "document": comparison.model_dump_json(),
    }
