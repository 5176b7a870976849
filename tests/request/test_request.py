"""What a run is asked for: whose settings hold, where files are found, what is refused at once."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from beambench.definition.library import Library
from beambench.definition.user_modules import importable, search_path
from beambench.errors import RunError, UsageError
from beambench.machine.devices import Devices
from beambench.request.benchmark import RunRequest, make_request

WORKLOAD = """
from beambench.workloads.base import Workload

class Mine(Workload):
    input_types = ("images", "numbers")

    def model_handler(self):
        raise NotImplementedError

    def postprocess(self, prediction):
        return 0
"""

DEFINITION = """
name: mine
title: Mine
workload: "{module}:Mine"
model: {model}
input: {input}
profiles:
  local: {{limit: 40, repeats: 3, timeout: 60, slot_seconds: 1}}
  smoke: {{limit: 4, repeats: 1, timeout: 30, slot_seconds: 1}}
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a definition and its workload into a folder that is not the current one."""
    module = f"mine_{tmp_path.name}"  # modules stay imported from one test to the next
    folder = tmp_path / "definitions"
    folder.mkdir()
    (folder / f"{module}.py").write_text(WORKLOAD)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    def write(
        source: str = "synthetic",
        *,
        type: str = "numbers",  # noqa: A002
        labels: str | None = None,
        model: str = "{name: m, weights: none}",
    ) -> Path:
        entry = f"{{type: {type}, source: {source}" + (f", labels: {labels}}}" if labels else "}")
        text = DEFINITION.format(module=module, model=model, input=entry)
        (folder / "mine.yaml").write_text(text)
        return folder / "mine.yaml"

    return write


def ask(definition: Path | str = "overhead-noop", **options: Any) -> RunRequest:
    return make_request(Library(), str(definition), **options)


@pytest.mark.parametrize("model_runs", ["server", "elsewhere"])
def test_the_record_says_where_a_model_runs_that_is_not_in_the_worker(write, model_runs):
    path = write()
    assert "model_runs" not in ask(path).configuration()
    (module,) = path.parent.glob("*.py")
    stated = f'    model_runs = "{model_runs}"\n    input_types'
    module.write_text(WORKLOAD.replace("    input_types", stated, 1))
    sys.modules.pop(module.stem)
    importlib.invalidate_caches()
    assert ask(path).configuration()["model_runs"] == model_runs


def unchecked(definition: Path, **options: Any) -> RunRequest:
    """Return a request that nothing was checked of, for files that are not there."""
    library = Library([definition])
    return RunRequest(library.resolve("mine"), **options)


def photographs(folder: Path) -> Path:
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"a")
    return folder


# Whose setting holds


def test_the_profile_says_what_the_request_does_not():
    request = ask(profile="smoke")
    assert (request.repeat_count, request.time_limit, request.effective_limit) == (1, 120.0, 1000)
    assert request.failed_share == 0.01
    assert (request.runner, request.seed, request.reference) == ("direct", 0, False)
    assert request.resolved.profile_name == "smoke"


def test_the_request_goes_before_the_profile():
    request = ask(repeats=7, timeout=1.5, limit=3, max_failed=0.5)
    assert (request.repeat_count, request.time_limit, request.effective_limit) == (7, 1.5, 3)
    assert request.failed_share == 0.5
    assert ask(max_failed=0.0).failed_share == 0.0


def test_the_default_is_the_stock_variant_in_the_local_profile():
    request = ask()
    assert (request.resolved.variant, request.resolved.profile_name) == ("stock", "local")
    assert (request.repeat_count, request.effective_limit) == (3, 20_000)


@pytest.mark.parametrize(
    ("source", "limit", "effective"),
    [
        (None, None, 40),
        (None, 7, 7),
        (None, 99, 99),
        ("synthetic", None, 40),
        ("packaged", None, 40),
        ("packaged", 7, 7),
        ("photographs", None, None),
        ("photographs", 7, 7),
        ("", None, None),
    ],
)
def test_a_limit_of_the_profile_is_for_the_benchmarks_own_input(write, source, limit, effective):
    request = unchecked(write("elsewhere", type="images"), source=source, limit=limit)
    assert request.effective_limit == effective


# Where files are found


def test_an_input_is_found_beside_its_definition(write):
    definition = write("photographs", type="images")
    place = photographs(definition.parent / "photographs")
    assert ask(definition).effective_source == str(place)


def test_an_input_that_is_not_beside_its_definition_is_taken_from_here(write):
    definition = write("photographs", type="images")
    photographs(Path("photographs"))
    assert ask(definition).effective_source == "photographs"


def test_an_absolute_path_stays(write, tmp_path):
    place = photographs(tmp_path / "photographs")
    assert ask(write(str(place), type="images")).effective_source == str(place)


@pytest.mark.parametrize("word", ["synthetic", "packaged"])
def test_a_keyword_is_no_path(write, word):
    definition = write(word, type="images")
    photographs(definition.parent / word)
    assert unchecked(definition).effective_source == word


def test_the_input_of_the_command_line_is_taken_from_here(write):
    definition = write("photographs", type="images")
    photographs(definition.parent / "other")
    photographs(Path("other"))
    assert ask(definition, source="other").effective_source == "other"


@pytest.mark.parametrize("path", ["x" * 5000, '"a\\0b"'])
def test_a_path_that_no_file_system_takes_is_one_line(write, path):
    with pytest.raises(UsageError, match="input source"):
        ask(write(path, type="images"))


def test_labels_are_found_beside_their_definition(write):
    definition = write("photographs", type="images", labels="labels.tsv")
    photographs(definition.parent / "photographs")
    labels = definition.parent / "labels.tsv"
    labels.write_text("a.jpg\t1\n")
    assert ask(definition).effective_labels == str(labels)


@pytest.mark.parametrize("source", ["photographs", "packaged", "synthetic"])
def test_labels_of_a_definition_go_with_its_own_input_only(write, source):
    definition = write("elsewhere", type="images", labels="labels.tsv")
    (definition.parent / "labels.tsv").write_text("a.jpg\t1\n")
    assert unchecked(definition, source=source).effective_labels is None
    given = unchecked(definition, source=source, labels_file="mine.tsv")
    assert given.effective_labels == "mine.tsv"
    assert unchecked(definition, labels_file="mine.tsv").effective_labels == "mine.tsv"


def test_weights_are_found_beside_their_definition(write):
    definition = write(model="{name: m, weights: file, path: m.pth}")
    with pytest.raises(UsageError, match=r"^model\.path m\.pth: no such file$"):
        ask(definition)
    Path("m.pth").write_bytes(b"")
    assert ask(definition).placed_definition.model.path == "m.pth"
    (definition.parent / "m.pth").write_bytes(b"")
    request = ask(definition)
    assert request.placed_definition.model.path == str(definition.parent / "m.pth")
    assert request.resolved.definition.model.path == "m.pth"
    assert ask().placed_definition == ask().resolved.definition


def test_weights_at_an_address_are_not_looked_for(write):
    definition = write(model="{name: m, weights: file, path: 'gs://bucket/m.pth'}")
    assert ask(definition).placed_definition.model.path == "gs://bucket/m.pth"


def test_a_workload_is_looked_for_beside_its_definition_and_here(write):
    definition = write()
    places = [str(definition.parent), str(Path.cwd())]
    request = ask(definition)
    assert search_path(request.resolved) == places
    assert search_path(ask().resolved) == []
    before = list(sys.path)
    with importable(search_path(request.resolved)):
        assert sys.path == [*places, *before]
    assert sys.path == before


def test_a_folder_is_looked_in_once(write, monkeypatch):
    definition = write()
    monkeypatch.chdir(definition.parent)
    assert search_path(ask("mine.yaml").resolved) == [str(definition.parent)]


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runner": "dirct"}, "no runner 'dirct' (did you mean 'direct'?); there is: direct"),
        ({"source": ""}, "input source ''"),
        ({"source": "packaged"}, "numbers can only be 'synthetic'"),
        ({"labels_file": ""}, ".: is no file"),
        ({"labels_file": "nowhere.tsv"}, "nowhere.tsv"),
        ({"variant": "stok"}, "no variant 'stok' (did you mean 'stock'?)"),
        ({"profile": "smok"}, "no profile 'smok' (did you mean 'smoke'?)"),
        ({"overrides": ["batching.max_batch_siz=1"]}, "did you mean 'max_batch_size'?"),
        ({"overrides": ["workload=overhed"]}, "no workload 'overhed' (did you mean 'overhead'?)"),
        ({"beam_flags": ["--runner=FlinkRunner"]}, "--runner after --: choose the runner with"),
        ({"beam_flags": ["--runner", "FlinkRunner"]}, "--runner after --: choose the runner with"),
        ({"repeats": 0}, "repeats 0: must be 1 or more"),
        ({"repeats": -1}, "repeats -1: must be 1 or more"),
        ({"retry_disturbed": -1}, "retry_disturbed -1: must be 0 or more"),
        ({"limit": 0}, "limit 0: must be 1 or more"),
        ({"seed": -1}, "seed -1: must be 0 or more"),
        ({"timeout": 0.0}, "timeout 0: must be a number of seconds above 0"),
        ({"timeout": -1.0}, "timeout -1: must be a number of seconds above 0"),
        ({"timeout": float("nan")}, "timeout nan: must be a number of seconds above 0"),
        ({"timeout": float("inf")}, "timeout inf: must be a number of seconds above 0"),
        ({"max_failed": -0.1}, "max_failed -0.1: must be a share from 0 to 1"),
        ({"max_failed": 1.1}, "max_failed 1.1: must be a share from 0 to 1"),
        ({"max_failed": float("nan")}, "max_failed nan: must be a share from 0 to 1"),
        (
            {"overrides": ["profiles.local.slot_seconds=1e-9"]},
            "slot_seconds 1e-09: must be at least 1e-06 s",
        ),
    ],
)
def test_a_request_that_cannot_be_right_is_refused(options, message):
    with pytest.raises(UsageError) as caught:
        ask(**options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_benchmark_names_the_nearest():
    with pytest.raises(UsageError, match=r"no benchmark 'overhead-nop' \(did you mean"):
        ask("overhead-nop")


def test_streaming_cannot_be_run_yet():
    with pytest.raises(RunError, match="the streaming scenario cannot be run yet"):
        ask(overrides=["scenario=streaming"])


def test_a_loop_cannot_replay_batches_by_length():
    name = "pytorch-language-modeling-bert-base"
    with pytest.raises(UsageError) as caught:
        ask(name, variant="tuned-buckets", reference=True)
    assert str(caught.value) == (
        f"{name}: --reference loop: Beam's batching by length gives an order of its own, which "
        "the loop cannot replay: use a variant without batching.bucket_boundaries"
    )
    ask(name, variant="tuned-buckets")
    ask(name, variant="tuned-sorted", reference=True)


def test_a_missing_gpu_is_said_at_once(monkeypatch):
    monkeypatch.setattr(
        "beambench.runners.direct.runner.cuda_devices", lambda: Devices(0, reason="no driver")
    )
    name = "pytorch-text-embedding-minilm"
    with pytest.raises(RunError, match=rf"^{name} needs a GPU: no driver$"):
        ask(name, overrides=["model.device=gpu"])
    ask(name, overrides=["model.device=cpu"])


@pytest.mark.parametrize(
    ("name", "override", "words"),
    [
        ("overhead-noop", "model.device=gpu", "model.device gpu: this workload runs on a CPU"),
        ("overhead-noop", "threads=2", "threads: sets those of torch, which this workload does"),
        ("overhead-noop", "model.weights=random", "model.weights random: this workload has no m"),
        ("overhead-noop", "model.size_mib=3", "model.size_mib: nothing reads it with model.wei"),
        ("remote-endpoint", "threads=2", "threads: sets those of torch, which this workload"),
        ("remote-endpoint", "model.device=gpu", "model.device gpu: this workload runs on a CPU"),
        ("onnx-digits", "threads=2", "threads: sets those of torch, which this workload does"),
    ],
)
def test_a_setting_that_a_workload_does_not_read_is_refused(name, override, words):
    with pytest.raises(UsageError, match=words):
        ask(name, overrides=[override])


def test_a_removed_folder_is_one_line(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(RunError, match="the current folder was removed"):
        ask()


def test_a_folder_whose_name_is_no_text_is_one_line(tmp_path, monkeypatch):
    odd = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(odd)  # noqa: PTH102 - bytes
    monkeypatch.chdir(os.fsdecode(odd))
    with pytest.raises(UsageError, match="the current folder's name is not UTF-8"):
        ask()


def test_what_a_workload_does_not_know_names_the_file(write):
    definition = write()
    with pytest.raises(UsageError) as caught:
        ask(definition, overrides=["parameters.sped=1"])
    assert str(caught.value).startswith(f"{definition}: ")


# The record


def test_the_configuration_is_all_that_was_resolved(write):
    definition = write()
    request = ask(
        definition,
        limit=3,
        seed=5,
        overrides=["title=Other"],
        beam_flags=("--a=b",),
        reference=True,
    )
    configuration = request.configuration()
    assert configuration.pop("definition") == request.resolved.definition.model_dump(mode="json")
    assert configuration == {
        "overrides": ["title=Other"],
        "source": "synthetic",
        "labels": None,
        "limit": 3,
        "repeats": 3,
        "retry_disturbed": 0,
        "reference": "loop",
        "seed": 5,
        "timeout": 60.0,
        "max_failed": 0.01,
        "beam_flags": ["--a=b"],
        "options_file": None,
        "output": None,
        "interpreter": sys.executable,
    }
    assert ask().configuration()["reference"] is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"on_stop": "cancle"}, "on_stop 'cancle': choose leave or cancel"),
        ({"on_stop": "cancel"}, "on_stop cancel: no job of runner direct goes on"),
    ],
)
def test_what_becomes_of_a_job_is_checked(options, words):
    with pytest.raises(UsageError) as caught:
        make_request(Library(), "overhead-noop", **options)
    assert str(caught.value) == words
