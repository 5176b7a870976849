"""The key file of Google's libraries, which say of one that is missing that there are no keys."""

from __future__ import annotations

import json
import os
from pathlib import Path

from beambench.errors import UsageError

VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"


def check_google_key() -> None:
    """Raise UsageError if the variable names something that is no key file."""
    value = os.environ.get(VARIABLE)
    if not value:
        return
    if value.lstrip().startswith("{"):
        raise UsageError(f"{VARIABLE}: holds a key: set it to the path of the file with the key")
    where = f"{VARIABLE}: {value!r:.300}"
    try:
        content = json.loads(Path(value).read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{where}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{where}: is no key file: not JSON") from None
    if not isinstance(content, dict) or not isinstance(content.get("type"), str):
        raise UsageError(f"{where}: is no key file: it has no `type`")
