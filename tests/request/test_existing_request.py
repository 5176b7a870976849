"""A pipeline that exists already: what is checked, found and hidden before a worker starts."""

import sys
from pathlib import Path
from typing import Any

import pytest

from beambench.errors import UsageError
from beambench.request.existing import (
    ExistingRequest,
    derived_name,
    make_existing_request,
)

SOURCE = "raise SystemExit('imported')\n"
"""A module that no check may import."""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A current folder with a module, a package and a folder that is no package."""
    monkeypatch.chdir(tmp_path)
    for file in ("own.py", "pack/__init__.py", "pack/inner.py", "plain/deep/inner.py"):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SOURCE)


def request_of(pipeline: str = "own:run", **changes: Any) -> ExistingRequest:
    options: dict[str, Any] = {"name": None, "benchmarks": [], "flags": [], "command": []}
    return make_existing_request(pipeline, **(options | changes))


@pytest.mark.parametrize(
    ("module", "file"),
    [
        ("own", "own.py"),
        ("pack", "pack/__init__.py"),
        ("pack.inner", "pack/inner.py"),
        ("plain.deep.inner", "plain/deep/inner.py"),
    ],
)
def test_a_module_is_found_without_running_it(module, file):
    request = request_of(f"{module}:run")
    assert Path(request.source_file).resolve() == Path(file).resolve()
    assert module not in sys.modules


def test_beams_examples_are_found_without_loading_beam():
    name = "apache_beam.examples.inference.sklearn_mnist_classification"
    assert request_of(f"{name}:run").source_file.endswith("sklearn_mnist_classification.py")


@pytest.mark.parametrize(
    ("pipeline", "words"),
    [
        ("own", "expected module:function"),
        ("own.py:run", "no module 'own.py': name it without .py: own:run"),
        (":run", "expected module:function"),
        ("own:", "expected module:function"),
        ("own:run:more", "expected module:function"),
        ("./own:run", "expected module:function"),
        ("nowhere:run", "no module 'nowhere'"),
        ("pack.nowhere:run", "no module 'pack.nowhere'"),
        ("nowhere.inner:run", "no module 'nowhere.inner'"),
        ("plain:run", "plain is no Python file"),
        ("plain.deep:run", "plain.deep is no Python file"),
        ("sys:exit", "--pipeline sys:exit: "),
    ],
)
def test_what_is_no_function_of_a_module_is_refused(pipeline, words):
    with pytest.raises(UsageError, match=words):
        request_of(pipeline)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "Mine"}, "--name 'Mine': small letters, digits and hyphens only"),
        ({"name": ""}, "--name '': small letters"),
        (
            {"name": "overhead-noop", "benchmarks": ["overhead-noop"]},
            "overhead-noop: is a benchmark's",
        ),
        ({"benchmarks": ["own-run"]}, "own-run: is a benchmark's name"),
        ({"flags": ["--runner=PrismRunner"]}, "--runner after --"),
        ({"flags": ["--runner", "x"], "command": ["b", "--runner", "x"]}, "--runner after --"),
        ({"runner": "flink"}, "runner 'flink': --pipeline runs on the direct runner only"),
        ({"runner": "dataflow"}, "runner 'dataflow': --pipeline runs on the direct runner only"),
        ({"runner": "Direct"}, "runner 'Direct': --pipeline runs on the direct runner only"),
        ({"max_failed": 1.5}, "max_failed 1.5: must be a share from 0 to 1"),
        ({"repeats": 0}, "repeats 0: must be 1 or more"),
        ({"seed": -1}, "seed -1"),
        ({"timeout": 0.0}, "timeout 0"),
        ({"timeout": float("nan")}, "timeout nan"),
    ],
)
def test_what_cannot_be_right_is_refused(changes, words):
    with pytest.raises(UsageError, match=words):
        request_of(**changes)


@pytest.mark.parametrize(
    ("module", "function", "name"),
    [
        ("apache_beam.examples.inference.x", "run", "apache-beam-examples-inference-x-run"),
        ("My_Module", "_build", "my-module-build"),
        ("a" * 120, "run", "a" * 96 + "-run"),
    ],
)
def test_a_name_is_made_of_module_and_function(module, function, name):
    assert derived_name(module, function) == name


def test_a_module_without_a_usable_letter_needs_a_name():
    with pytest.raises(UsageError, match="give it a name with --name"):
        derived_name("模型", "跑")


def test_a_secret_stands_nowhere_but_in_what_the_worker_is_told():
    flags = ["--hf_token", "abcdef", "--api_key=hunter2", "--pin_key=12", "--input", "rows-12"]
    request = request_of(flags=flags, command=["beambench", "run", "--", *flags])
    shown = ["--hf_token", "***", "--api_key=***", "--pin_key=***", "--input", "rows-12"]
    assert request.flags == flags
    assert request.shown_flags == request.configuration()["beam_flags"] == shown
    assert request.shown_command == ["beambench", "run", "--", *shown]
    said = "ValueError: abcdef and hunter2 of rows-12"
    assert request.without_secrets(said) == "ValueError: *** and *** of rows-12"


def test_the_hash_is_over_function_source_and_flags_but_no_secret():
    def digest(**changes: Any) -> str:
        return request_of(**changes).identity()["definition_hash"]

    first = digest(flags=["--a", "1"])
    assert digest(flags=["--a", "1"], name="other", seed=3, repeats=9) == first
    assert digest(flags=["--a", "2"]) != first
    assert digest(pipeline="own:other", flags=["--a", "1"]) != first
    assert digest(flags=["--api_key=abc"]) == digest(flags=["--api_key=xyz"])
    Path("own.py").write_text(SOURCE + "# another\n")
    assert digest(flags=["--a", "1"]) != first


def test_a_module_whose_name_no_file_can_have():
    with pytest.raises(UsageError, match=r"no module 'pack\.a+'"):
        request_of(f"pack.{'a' * 300}:run")


def test_a_module_that_cannot_be_read(tmp_path):
    (tmp_path / "sealed.py").symlink_to("/proc/self/mem")  # which nobody can read at 0
    with pytest.raises(UsageError, match=r"--pipeline sealed:run: .*sealed\.py: cannot be read: "):
        request_of("sealed:run")


@pytest.mark.parametrize("name", ["json.py", "random/__init__.py"])
def test_a_file_that_hides_a_module_of_python_is_refused(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    with pytest.raises(UsageError) as caught:
        request_of("own:run")
    module = name.partition("/")[0].removesuffix(".py")
    assert str(caught.value).startswith(f"{path}: hides Python's own module {module!r}")
    assert "rename it" in str(caught.value)


def test_files_that_hide_nothing_are_in_nobodys_way(tmp_path):
    for name in ("time.py", "os.py", "sys.py", "json.txt", "test.py"):  # built in, frozen, unused
        (tmp_path / name).write_text("")
    (tmp_path / "random").mkdir()  # a folder without __init__.py comes after Python's own modules
    assert request_of("own:run").pipeline == "own:run"
