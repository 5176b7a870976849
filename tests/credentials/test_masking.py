"""What a record never holds, and what only looks like it."""

from __future__ import annotations

from typing import Any

import pytest

from beambench.credentials.masking import (
    masked,
    masked_values,
    names_secret,
    secret_values,
    secrets,
    without,
)
from beambench.definition.library import Library


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        (["--api_key=abc", "--input", "abc"], ["--api_key=***", "--input", "abc"]),
        (["--api_key", "abc", "--input=x"], ["--api_key", "***", "--input=x"]),
        (["--PASSWORD", "a", "b", "--x", "c"], ["--PASSWORD", "***", "***", "--x", "c"]),
        (["--hf-token=t", "--client_secret", "s"], ["--hf-token=***", "--client_secret", "***"]),
        (["--credentials", "--quick"], ["--credentials", "--quick"]),
        (["--bert_tokenizer", "a", "--tokenise=b"], ["--bert_tokenizer", "a", "--tokenise=b"]),
        (["key", "--query=token=1"], ["key", "--query=token=1"]),
        (["--api_key", "abc", "--", "abc"], ["--api_key", "***", "--", "abc"]),
        (
            ["--store", "postgresql://me:p@ss@host/runs"],
            ["--store", "postgresql://me:***@host/runs"],
        ),
        (["--output=gs://bucket/a:b@c"], ["--output=gs://bucket/a:b@c"]),
    ],
)
def test_values_of_flags_that_name_a_secret_are_masked(flags, shown):
    assert masked(flags) == shown


@pytest.mark.parametrize(
    "name",
    [
        *("password", "db_passwd", "PASSWORD_FILE", "passphrase", "HF_TOKEN", "tokenfile"),
        *("client_secret", "credentials", "connection_string", "connection-string", "gbek"),
        *("key", "api-key", "apikey", "apiKey", "accessKey", "private_key", "AWS_ACCESS_KEY_ID"),
        *("ssh_keys", "dataflow_kms_key"),
    ],
)
def test_names_of_secrets(name):
    assert names_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        *("tokenizer", "bert_tokenizer", "TOKENIZERS_PARALLELISM", "tokenise", "output_tokens"),
        *("max_tokens", "keyed", "keyboard", "monkey", "keynote", "passes", "input", "secs"),
        *("allow_non_deterministic_key_coders", "connection"),
    ],
)
def test_names_that_are_none(name):
    assert not names_secret(name)


def test_values_are_masked_at_any_depth():
    content: dict[str, Any] = {
        "environment": {"HF_TOKEN": "hunter2", "HF_HOME": "/models"},
        "api_keys": [{"name": "hunter3"}, "hunter4"],
        "use_token": True,
        "password": None,
        "output_tokens": 16,
    }
    assert masked_values(content) == {
        "environment": {"HF_TOKEN": "***", "HF_HOME": "/models"},
        "api_keys": [{"name": "***"}, "***"],
        "use_token": True,
        "password": None,
        "output_tokens": 16,
    }
    assert secret_values(content) == ["hunter2", "hunter3", "hunter4"]


def test_secrets_are_masked_in_a_text_the_longest_first():
    flags = ["--hf_token", "abcd", "--api_key=abcdef", "--pin_key=12", "--input", "rows-12"]
    assert secrets(flags) == ["abcd", "abcdef", "12"]
    assert without(secrets(flags), "no abcdef and abcd of rows-12") == "no *** and *** of rows-12"


@pytest.mark.parametrize("name", Library().names())
def test_nothing_of_the_catalog_is_masked(name):
    library = Library()
    for variant in library.variants(name):
        content = library.resolve(name, variant=variant).definition.model_dump(mode="json")
        assert masked_values(content) == content
