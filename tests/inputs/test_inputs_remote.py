"""Inputs in an object store, on a real emulator of one."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from beambench.errors import RunError, UsageError
from beambench.inputs import contents, files
from beambench.inputs.labels.label_file import labels_for, read_labels
from beambench.inputs.manifest import Manifest, resolve_input
from buckets import put

pytestmark = pytest.mark.real


def resolve(source: str, kind: str = "images", limit: int | None = None) -> Manifest:
    return resolve_input(kind, source, limit=limit, seed=0, cache_dir=Path("/nonexistent"))


def refused(source: str, kind: str = "images") -> str:
    with pytest.raises(UsageError) as caught:
        resolve(source, kind)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def photos(tmp_path: Path, bucket: str) -> tuple[str, Manifest]:
    """A folder of a bucket, and the same folder on this machine, resolved."""
    for name in ("b.JPG", "a.png", "notes.txt", "c[1]*.jpg"):
        (tmp_path / name).write_text(f"content of {name}")
        put(f"{bucket}/photos/{name}", f"content of {name}".encode())
    for name in ("below/d.gif", "below/er/e.jpg", "._a.png", ".hidden/x.jpg", "__MACOSX/y.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"content of {name}")
        put(f"{bucket}/photos/{name}", f"content of {name}".encode())
    for folder in ("", "below/"):  # what some tools make of one
        put(f"{bucket}/photos/{folder}", b"")
    return f"{bucket}/photos/", resolve(str(tmp_path))


def test_a_folder_is_read_like_one_on_this_machine(photos):
    address, local = photos
    for source in (address, address.rstrip("/")):
        manifest = resolve(source)
        assert manifest.kind == "directory"
        assert manifest.root == address.rstrip("/")
        assert (
            manifest.ids
            == local.ids
            == [*("a.png", "b.JPG", "below/d.gif", "below/er/e.jpg", "c[1]*.jpg")]
        )
        assert (manifest.digest, manifest.bytes) == (local.digest, local.bytes)
        assert manifest.warnings == [f"{source}: left out 1 (.txt: 1): 'notes.txt'"]


def test_the_lines_of_a_list_start_at_its_folder(photos, tmp_path):
    address, _ = photos
    lines = ["b.JPG", "../photos/a.png", f"{address}c[1]*.jpg", str(tmp_path / "b.JPG"), "gone.jpg"]
    put(f"{address}list.txt", "\n".join(lines).encode())
    manifest = resolve(f"{address}list.txt")
    assert manifest.kind == "list"
    assert manifest.ids == [
        *(f"{address}{name}" for name in ("b.JPG", "a.png", "c[1]*.jpg")),
        str(tmp_path / "b.JPG"),
        f"{address}gone.jpg",
    ]
    named = ("b.JPG", "a.png", "c[1]*.jpg", "b.JPG")
    assert manifest.bytes == sum(len(f"content of {name}") for name in named)
    (warning,) = manifest.warnings
    assert "1 of 5 files missing or unreadable, the first is" in warning
    assert "gone.jpg" in warning


def test_a_list_on_this_machine_names_objects(photos, tmp_path):
    address, local = photos
    path = tmp_path / "list.txt"
    path.write_text("".join(f"{address}{name}\n" for name in local.ids))
    manifest = resolve(str(path), limit=2)
    assert manifest.ids == [f"{address}a.png", f"{address}b.JPG"]
    assert manifest.digest == resolve(str(tmp_path), limit=2).digest


@pytest.mark.parametrize("limits", [{"READ_OBJECTS": 2}, {"READ_BYTES": 20}])
def test_what_is_too_much_to_read_is_known_by_size_and_time(photos, monkeypatch, limits):
    address, local = photos
    for name, value in limits.items():
        monkeypatch.setattr(contents, name, value)
    before = resolve(address)
    assert before.bytes == local.bytes
    assert before.digest != local.digest
    assert "5 of 5 elements are too much to be read from their store" in before.warnings[-1]
    assert resolve(address).digest == before.digest
    put(f"{address}a.png", b"CONTENT of a.png")  # as long as before
    assert resolve(address).digest != before.digest


def test_a_missing_object_is_told_apart_without_reading_any(photos, tmp_path, monkeypatch):
    address, _ = photos
    monkeypatch.setattr(contents, "READ_OBJECTS", 0)
    path = tmp_path / "list.txt"
    path.write_text(f"{address}a.png\n{address}gone.jpg\n")
    warnings = resolve(str(path)).warnings
    assert any("1 of 2 files missing or unreadable" in warning for warning in warnings)


@pytest.mark.parametrize(("name", "kind"), [("s.txt", "sentences"), ("p.tsv", "prompts")])
def test_lines_are_those_of_the_same_file_here(tmp_path, bucket, name, kind):
    content = b"\xef\xbb\xbfa fine film\t1\n\n \xff broken\t0\r\n"
    (tmp_path / name).write_bytes(content)
    put(f"{bucket}/{name}", content)
    manifest, local = resolve(f"{bucket}/{name}", kind), resolve(str(tmp_path / name), kind)
    assert (manifest.ids, manifest.contents) == (local.ids, local.contents)
    assert manifest.digest == local.digest
    assert manifest.kind == "file"


def test_labels_are_read(bucket):
    put(f"{bucket}/labels.csv", b"file,class\na.jpg,3\n")
    assert labels_for(["photos/a.jpg"], read_labels(f"{bucket}/labels.csv")) == {"photos/a.jpg": 3}
    with pytest.raises(UsageError, match=r"gone\.csv: cannot be read \(no such object\)"):
        read_labels(f"{bucket}/gone.csv")


def test_what_is_not_there_is_said_in_one_line(bucket):
    put(f"{bucket}/empty/notes.txt", b"")
    put(f"{bucket}/list.txt", b"gone.jpg\nlost.jpg\n")
    put(f"{bucket}/out.txt", b"a.jpg\n../../../a.jpg\n")
    put(f"{bucket}/video.txt", b"\0\0\0")
    lines = {
        "gs://no-such-bucket/list.txt": "no such bucket (gs://no-such-bucket)",
        f"{bucket}/gone.txt": "no such object or folder",
        f"{bucket}/gone/": "holds no image",
        bucket: "holds no image",
        f"{bucket}/empty/": "in it or below, but .txt: 1: name a directory that does",
        f"{bucket}/list.txt": f"2 of 2 files missing or unreadable, the first is '{bucket}/gone",
        f"{bucket}/out.txt": "line 2: '../../../a.jpg' leads out of the bucket",
        f"{bucket}/video.txt": "is not a text file",
    }
    for source, words in lines.items():
        message = refused(source)
        assert source in message
        assert words in message
    assert "no such object" in refused(f"{bucket}/gone.txt", "sentences")


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)


TRY = """
import sys
from beambench.inputs import files
try:
    files.connect(sys.argv[1])
    print(files.read_bytes(sys.argv[1]).decode())
except Exception as error:
    print(type(error).__name__, error)
"""


def tried(address: str) -> str:
    """Return what a process of its own says of an object: credentials are looked for once."""
    done = subprocess.run(
        [sys.executable, "-c", TRY, address], capture_output=True, text=True, timeout=90, check=True
    )
    return done.stdout.strip()


def test_without_credentials_what_is_public_is_read_at_once(bucket, no_credentials):
    put(f"{bucket}/a.txt", b"public")
    assert tried(f"{bucket}/a.txt") == "public"


def test_a_store_that_does_not_answer_is_said_in_bounded_time(no_credentials, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    assert tried("gs://bucket/a.txt") == (
        "RunError gs://bucket: the store does not answer: check the network"
    )


def test_a_store_that_takes_a_call_and_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(files, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(files, "_bucket", lambda *_: threading.Event().wait(60))
    with pytest.raises(RunError, match=r"gs://bucket: no answer within 0\.05 s: check the network"):
        files.connect("gs://bucket/a.txt")


def test_without_the_extra_the_line_says_what_to_install(monkeypatch):
    from apache_beam.io.filesystem import FileSystem

    others = [cls for cls in FileSystem.get_all_subclasses() if cls.scheme() != "gs"]
    monkeypatch.setattr(FileSystem, "get_all_subclasses", lambda: others)
    monkeypatch.setitem(sys.modules, "google.api_core", None)
    monkeypatch.setitem(sys.modules, "google.auth", None)
    for ask in (files.connect, files.stored, files.read_bytes, files.remove):
        with pytest.raises(UsageError, match=r"pip install 'beambench\[gcp\]'"):
            ask("gs://bucket/a.txt")


class Refusing:
    """Google's client of a store that answers everything with one status."""

    def __init__(self, status: int) -> None:
        self.status = status

    def __call__(self, *_: Any, **__: Any) -> Any:
        from google.api_core.exceptions import from_http_status

        raise from_http_status(self.status, "the caller does not have storage.objects.get")


def answers() -> list[Any]:
    """Return what goes wrong with a store, as its client raises it, and what becomes of it."""
    from google.api_core.exceptions import InternalServerError, RetryError
    from google.auth.exceptions import RefreshError, TransportError
    from requests import ConnectionError as NoConnection
    from requests import ReadTimeout

    silent = "gs://bucket/a: the store does not answer: check the network"
    return [
        (RetryError("Timeout of 120.0s exceeded", None), RunError, silent),
        (TransportError("no route"), RunError, silent),
        (NoConnection("refused"), RunError, silent),
        (ReadTimeout("slow"), RunError, silent),
        (RefreshError("invalid_grant"), RunError, "credentials are refused: gcloud auth"),
        (InternalServerError("one\ntwo"), OSError, "500 one: 'gs://bucket/a'"),
    ]


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("index", range(6))
def test_what_goes_wrong_in_a_store_is_one_line(bucket, monkeypatch, index, wrapped):
    from apache_beam.io.filesystem import BeamIOError
    from apache_beam.io.gcp.gcsfilesystem import GCSFileSystem

    raised, kind, words = answers()[index]

    def metadata(*_: object) -> None:
        raise (
            BeamIOError("Metadata operation failed", {"gs://bucket/a": raised})
            if wrapped
            else raised
        )

    monkeypatch.setattr(GCSFileSystem, "metadata", metadata)
    with pytest.raises(kind) as caught:
        files.stored("gs://bucket/a")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "known", "words"),
    [
        (403, True, "access denied"),
        (401, False, "access denied: no Google credentials were found: gcloud auth"),
    ],
)
def test_an_access_that_is_denied_is_said(bucket, monkeypatch, status, known, words):
    from google.cloud.storage import Client

    put(f"{bucket}/list.txt", b"a.jpg\n")
    monkeypatch.setattr(Client, "_get_resource", Refusing(status))
    monkeypatch.setattr(files, "has_credentials", lambda: known)
    assert words in refused(f"{bucket}/list.txt")
