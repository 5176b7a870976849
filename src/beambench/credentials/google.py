"""Google's application default credentials: the one place that looks for them."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from beambench.errors import RunError, UsageError

VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
METADATA_LIMITS = ("GCE_METADATA_TIMEOUT", "GCE_METADATA_DETECT_RETRIES")
LOG_IN = "gcloud auth application-default login"


class NoCredentialsError(UsageError):
    """There are no Google credentials here; the text is that of Google's library."""


def application_default(scopes: Sequence[str] | None = None) -> tuple[Any, str | None]:
    """Return Google's application default credentials, and the project that they say, if any.

    Nothing is asked of Google, but of its server for machines in its cloud, once and for a second.

    Args:
        scopes: what the credentials are for, where their kind needs to know.

    Raises:
        ImportError: google-auth is not installed.
        UsageError: the variable names something that is no key file.
        NoCredentialsError: there are none.
        RunError: nobody knows, for looking failed.
    """
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError

    check_google_key()
    limits = {name: "1" for name in METADATA_LIMITS if name not in os.environ}
    os.environ.update(limits)
    logging.getLogger("google.auth.compute_engine._metadata").setLevel(logging.ERROR)
    try:
        credentials, project = google.auth.default(scopes=scopes)
    except DefaultCredentialsError as error:
        raise NoCredentialsError(str(error)) from None
    except GoogleAuthError as error:
        text = " ".join(str(error).split())[:300]
        raise RunError(f"the look-up of Google credentials failed: {text}") from None
    finally:
        for name in limits:
            del os.environ[name]
    return credentials, project


def check_google_key() -> None:
    """Raise UsageError if the variable names something that is no key file.

    Google's library says of one that is missing that there are no credentials.
    """
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
