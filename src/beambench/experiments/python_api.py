"""`beambench.run`: one benchmark from Python, stored and published as the command line does it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from beambench.cancellation import Cancellation
from beambench.definition.library import Library
from beambench.errors import StoreError, UsageError
from beambench.experiments.benchmark import execute
from beambench.experiments.saving import NotStoredError, RunSaver
from beambench.record.run_record import RunRecord
from beambench.request.benchmark import RunRequest, make_request
from beambench.store.run_store import RunStore

_log = logging.getLogger(__name__)


def run_benchmark(
    name: str,
    *,
    library: Library | None = None,
    store: str | None = None,
    publish: Sequence[str] | None = None,
    **options: object,
) -> RunRecord:
    """Run one benchmark and return its record, whatever its status.

    With a store the record is kept there, its rows are queued for the publishers, and there is one
    attempt of at most ten seconds to deliver them. What is not delivered stays in the queue for
    ``beambench publish --pending``, and is logged as a warning.

    Args:
        name: a benchmark of the library, or the path of a definition file.
        library: definitions to look in; the catalog if None.
        store: URL of a store, as ``--store`` takes it; if None, nothing is stored or published.
        publish: names of publishers; `publish.to` of the definition if None.
        options: fields of `RunRequest`, and `variant`, `profile` and `overrides`.

    Raises:
        UsageError: the request cannot be right.
        RunError: it cannot run on this machine.
        StoreError: the store cannot be opened or written; nothing was run.
        NotStoredError: the store failed after the run; the error has the record.
    """
    if publish and store is None:
        raise UsageError("publish: give a store too: rows wait in its queue until they are sent")
    request = make_request(library or Library(), name, **options)
    if store is None:
        return execute(request, Cancellation())
    return _run_and_save(request, store, request.publish.to if publish is None else publish)


def _run_and_save(request: RunRequest, url: str, publishers: Sequence[str]) -> RunRecord:
    if publishers:
        from beambench.experiments.publishing import check_publishers

        publishers = check_publishers(publishers, request.publish, request.name)
    cancelled = Cancellation()
    with RunStore.open(url) as store:
        saver = RunSaver(store, cancelled)
        saved = saver.save(execute(request, cancelled), publishers)
        if not saved.is_stored:
            raise NotStoredError(saved)
        messages = saved.messages
        try:
            messages += [line for attempt in saver.deliver() for line in attempt.messages]
        except StoreError as error:  # the run is stored all the same
            messages.append(f"rows of run {saved.record.run_id} are not delivered: {error}")
    for message in messages:
        _log.warning("%s", message)
    return saved.record
