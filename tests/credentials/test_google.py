"""Google's credentials are looked up in one place, which says what is wrong with them."""

import os

import pytest

from beambench.credentials.google import (
    METADATA_LIMITS,
    NoCredentialsError,
    application_default,
    check_google_key,
)
from beambench.errors import RunError, UsageError


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file or directory"),
        ("", "is no key file: not JSON"),
        ("[]", "is no key file: it has no `type`"),
        ("{}", "is no key file: it has no `type`"),
    ],
)
def test_a_key_file_that_is_none(tmp_path, monkeypatch, content, words):
    path = tmp_path / "key.json"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with pytest.raises(UsageError) as error:
        check_google_key()
    assert str(error.value) == f"GOOGLE_APPLICATION_CREDENTIALS: '{path}': {words}"


def test_a_key_in_place_of_its_file(monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", '{"private_key": "sesame"}')
    with pytest.raises(UsageError, match="holds a key: set it to the path") as error:
        check_google_key()
    assert "sesame" not in str(error.value)


def test_a_key_file(tmp_path, monkeypatch):
    (tmp_path / "key.json").write_text('{"type": "authorized_user"}')
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    check_google_key()


def test_without_credentials_googles_own_words_are_kept(monkeypatch):
    google = pytest.importorskip("google.auth")
    from google.auth.exceptions import DefaultCredentialsError

    def none(**_: object) -> None:
        raise DefaultCredentialsError("none here")

    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setattr(google, "default", none)
    with pytest.raises(NoCredentialsError, match="none here"):
        application_default()


def test_a_key_file_that_is_none_is_named_before_google_is_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(UsageError, match="No such file"):
        application_default()


def test_a_look_up_that_fails_is_not_taken_for_none(monkeypatch):
    from google.auth.exceptions import TransportError

    def cut(**_: object) -> None:
        raise TransportError("the server of the metadata hung up")

    monkeypatch.setattr("google.auth.default", cut)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with pytest.raises(RunError, match="look-up of Google credentials failed: the server of"):
        application_default()
    assert not [name for name in METADATA_LIMITS if name in os.environ]
