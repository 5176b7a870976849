"""What is wrong with an address or a credential is named, and no secret is shown."""

import time

import pytest

from beambench.errors import StoreError, UsageError
from beambench.publishers.base import UnreachableError
from beambench.publishers.influxdb.address import checked, place, quoted, setting
from beambench.publishers.influxdb.server import InfluxServer
from beambench.store import RunStore


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (
            "127.0.0.1:8086",
            "'127.0.0.1:8086': has no http:// before it: write http://127.0.0.1:8086",
        ),
        ("localhost", "'localhost': has no http:// before it: write http://localhost"),
        ("http:/h:8086", "'http:/h:8086': has no http:// before it: write http://h:8086"),
        ("http://", "'http://': names no host: write http://host:8086"),
        ("http://:8086", "'http://:8086': names no host: write http://host:8086"),
        ("http://h:99999", "'http://h:99999': 99999 is no port: one is from 1 to 65535"),
        ("http://h:port", "'http://h:port': port is no port: one is from 1 to 65535"),
        ("http://h:0", "'http://h:0': 0 is no port: one is from 1 to 65535"),
        ("ftp://h", "'ftp://h': is of ftp, not of http or https: write http://host:8086"),
        ("http://my host", "'http://my host': 'my host' is no name of a host"),
        ("http://::1:8086", "write an IPv6 address in brackets: http://[::1]:8086"),
        ("http://[::1", "'http://[::1': is no address: write http://host:8086"),
        ("http://h/write", "'http://h/write': is that of a request: leave out /write"),
        ("http://h/api/v2/", "'http://h/api/v2/': is that of a request: leave out /api/v2/"),
        (
            "http://h:8086?bucket=b&token=sesame",
            "'http://h:8086?bucket=b&token=***': holds bucket and token: set INFLUXDB_DATABASE, "
            "or INFLUXDB_BUCKET and INFLUXDB_ORG with a token, instead",
        ),
        (
            "http://u:sesame@h",
            "'http://***@h': holds a user: set INFLUXDB_USER and INFLUXDB_USER_PASSWORD instead",
        ),
        ("u:sesame@h", "'***@h': has no http:// before it: write http://h"),
        ("http://h?p=ses@me", "'http://***': holds a user"),
        ("http://u:s?es=a@me", "'http://***': holds a user"),
    ],
)
def test_an_address_that_is_none(url, words):
    with pytest.raises(UsageError) as error:
        checked(url, "influxdb: INFLUXDB_URL")
    assert str(error.value).startswith("influxdb: INFLUXDB_URL ")
    assert words in str(error.value)
    assert "sesame" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://h:8086/", "http://h:8086"),
        ("https://influx.example/prefix/", "https://influx.example/prefix"),
        ("http://[::1]:8086", "http://[::1]:8086"),
        ("HTTP://H", "HTTP://H"),
        ("http://münchen.example", "http://münchen.example"),
        ("http://h/rewrite", "http://h/rewrite"),
    ],
)
def test_an_address(url, address):
    assert checked(url, "INFLUXDB_URL") == address


def test_an_address_is_shown_with_its_brackets():
    assert place("http://[::1]:8086/x") == "http://[::1]:8086/x"
    assert quoted("http://h\n") == r"'http://h\n'"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("INFLUXDB_TOKEN", "sesame\n", "INFLUXDB_TOKEN: ends in a line break: take it away"),
        ("INFLUXDB_TOKEN", "ses\name", "INFLUXDB_TOKEN: holds a line break: take it away"),
        ("INFLUXDB_TOKEN", " sesame", "INFLUXDB_TOKEN: begins or ends with a space: take it away"),
        ("INFLUXDB_USER_PASSWORD", "sesame\r\n", "INFLUXDB_USER_PASSWORD: ends in a line break"),
        ("INFLUXDB_URL", "http://h\n", r"INFLUXDB_URL 'http://h\n': ends in a line break"),
        ("INFLUXDB_URL", "http://h ", "INFLUXDB_URL 'http://h ': begins or ends with a space"),
        ("INFLUXDB_ORG", "us\n", r"INFLUXDB_ORG 'us\n': ends in a line break"),
        ("INFLUXDB_DATABASE", "db\n", r"INFLUXDB_DATABASE 'db\n': ends in a line break"),
    ],
)
def test_a_value_with_what_a_file_ends_in(monkeypatch, name, value, words):
    server = {"URL": "http://h", "DATABASE": "d", "TOKEN": "t", "ORG": "o", "USER_PASSWORD": "p"}
    for end, sound in server.items():
        monkeypatch.setenv(f"INFLUXDB_{end}", sound)
    assert InfluxServer.of({}).url == "http://h"
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError) as error:
        InfluxServer.of({})
    assert words in str(error.value)
    assert "sesame" not in str(error.value)


def test_a_password_may_have_spaces(monkeypatch):
    monkeypatch.setenv("INFLUXDB_USER_PASSWORD", " open sesame ")
    assert setting("INFLUXDB_USER_PASSWORD", secret=True, spaces=True) == " open sesame "


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://nosuch.invalid:8086", "http://nosuch.invalid:8086: its name does not resolve ("),
        ("http://127.0.0.1:1", "http://127.0.0.1:1: refused or cut the connection"),
        ("http://..:8086", "http://..:8086: no name of a host"),
    ],
)
def test_why_a_server_is_not_reached(monkeypatch, url, words):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UnreachableError) as error:
        InfluxServer(url, "d").query("SELECT", time.monotonic() + 5)
    assert words in str(error.value)


def test_a_proxy_that_does_not_resolve(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(UnreachableError, match=r"the name of the proxy .* does not resolve"):
        InfluxServer("http://h", "d").query("SELECT", time.monotonic() + 5)


@pytest.mark.parametrize(
    "url", ["sqlite:///x.db\n", " sqlite:///x.db", "postgresql://u:sesame@h/d\n"]
)
def test_a_store_with_what_a_file_ends_in(url):
    with pytest.raises(StoreError, match="begins or ends with a space or line break") as error:
        RunStore.open(url)
    assert "sesame" not in str(error.value)
