"""Which repository of which GitHub, and with which token."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from beambench.credentials.masking import masked_address
from beambench.credentials.transport import is_in_the_clear
from beambench.errors import UsageError

PUBLIC = "https://api.github.com"
TOKEN = "GITHUB_TOKEN"  # noqa: S105 - the name of a variable
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}/[A-Za-z0-9._-]{1,100}")


@dataclass(frozen=True)
class Place:
    """A repository, and how it is reached.

    Attributes:
        repository: OWNER/NAME.
        url: of the REST API, without a slash at its end.
        token: None reads without one.
    """

    repository: str
    url: str = PUBLIC
    token: str | None = field(default=None, repr=False)

    @property
    def is_this_machine(self) -> bool:
        return urlsplit(self.url).scheme == "http"


def place_of(repository: str, url: str | None, *, needs_token: bool) -> Place:
    """Return where issues go.

    Args:
        repository: OWNER/NAME.
        url: of the REST API; None: that of the variable GITHUB_API_URL, else of github.com.
        needs_token: whether it is wrong that the environment holds none.

    Raises:
        UsageError: a name or address that cannot be, or there is no token.
    """
    if not REPOSITORY.fullmatch(repository) or repository.endswith(("/.", "/..")):
        raise UsageError(f"--github {repository!r:.120}: expected OWNER/REPO")
    source = "--github-url"
    if not url:
        url, source = os.environ.get("GITHUB_API_URL") or PUBLIC, "GITHUB_API_URL"
    address = _checked(url, source)
    token = os.environ.get(TOKEN) or None
    if token is None and needs_token:
        raise UsageError(f"{TOKEN} is not set: --github needs a token that may write issues")
    if token is not None and not re.fullmatch(r"[\x21-\x7e]+", token):
        raise UsageError(f"{TOKEN}: holds a space or a line break, which no token has: set it anew")
    return Place(repository, address, token)


def _checked(url: str, source: str) -> str:
    """Return the address of an API; refuse one that would send the token in the clear."""
    where = f"{source} {masked_address(url, ())!r:.200}"
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise UsageError(f"{where}: is no address: write {PUBLIC}") from None
    if not sound or "@" in parts.netloc or parts.query or parts.fragment or re.search(r"\s", url):
        raise UsageError(f"{where}: expected an address such as {PUBLIC} or https://HOST/api/v3")
    if is_in_the_clear(parts):
        raise UsageError(f"{where}: http is for this machine only: a token goes over https")
    return url.rstrip("/")
