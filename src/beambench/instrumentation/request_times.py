"""The trait of a handler whose model server tells how long its requests took."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from beambench.record.observation import RequestTimes


class ReportsRequestTimes(ABC):
    """A base of such handlers, so that no attribute of a user's model is taken for an answer.

    It is the handler's, for the model may be a proxy of a server that processes share.
    """

    @abstractmethod
    def request_times(self, model: Any) -> tuple[str, RequestTimes] | None:
        """Return an identity of the server, and what it tells of all requests since its start.

        None if it tells nothing.
        """
