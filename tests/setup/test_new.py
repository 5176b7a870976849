"""Benchmarks written from templates: which names they can have, and that they run as they are."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from beambench.definition.library import Library
from beambench.errors import UsageError
from beambench.setup import new
from beambench.setup.new import templates, write_benchmark
from beambench.workloads.registry import check_workload, load_class

MODELS = {"minimal": "sentiment_7_handler.py", "pytorch": "sentiment_7_model.py"}


@pytest.fixture
def refused(tmp_path):
    def run(name: str, template: str = "minimal") -> str:
        with pytest.raises(UsageError) as raised:
            write_benchmark(name, template, tmp_path, Library())
        assert list(tmp_path.iterdir()) == []
        assert "\n" not in str(raised.value)
        return str(raised.value)

    return run


def test_there_are_templates():
    assert {"minimal", "pytorch", "scikit-learn"} <= set(templates())


@pytest.mark.parametrize("template", templates())
def test_a_template_is_written_under_its_name(tmp_path, template):
    written = write_benchmark("sentiment-7", template, tmp_path / "deep" / "er", Library())
    names = [path.name for path in written.files]
    assert names[0] == "sentiment-7.yaml"
    assert names[-1] == "test_sentiment_7.py"
    expected = {"sentiment-7.yaml", "sentiment_7.py", "test_sentiment_7.py"}
    assert expected | {MODELS.get(template, "sentiment_7.py")} <= set(names)
    assert sorted(path.name for path in (tmp_path / "deep" / "er").iterdir()) == sorted(names)
    for path in written.files:
        text = path.read_text("utf-8")
        for placeholder in ("my-benchmark", "my_benchmark", "MyBenchmark", "My benchmark"):
            assert placeholder not in text
    definition = yaml.safe_load(written.files[0].read_text("utf-8"))
    assert definition["title"] == "Sentiment 7"
    assert definition["workload"] == "sentiment_7:Sentiment7"


@pytest.mark.parametrize("template", templates())
def test_what_is_written_is_valid_in_every_profile(tmp_path, monkeypatch, template):
    written = write_benchmark(f"valid-{template}", template, tmp_path, Library())
    monkeypatch.syspath_prepend(tmp_path)
    library = Library([written.files[0]])
    for profile in ("smoke", "local", "full"):
        check_workload(library.resolve(written.name, profile=profile).definition)


@pytest.mark.parametrize("template", templates())
def test_what_is_written_is_clean(tmp_path, template):
    write_benchmark("sentiment", template, tmp_path, Library())
    checks = [["check", "--select", "E,F,I,UP,B"], ["format", "--check"]]
    for check in checks:
        command = [sys.executable, "-m", "ruff", *check, "--isolated", "--line-length", "100", "."]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("template", templates())
def test_checking_what_is_written_imports_no_framework(tmp_path, template):
    write_benchmark("light", template, tmp_path, Library())
    code = "import light, sys; print({'apache_beam', 'torch', 'numpy', 'sklearn'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


@pytest.mark.real
@pytest.mark.parametrize("template", templates())
def test_its_own_test_passes(tmp_path, template):
    if template == "scikit-learn":
        pytest.importorskip("pandas")  # Beam's handler imports it
    written = write_benchmark("mine", template, tmp_path, Library())
    command = shlex.split(written.commands[-1])
    assert command == ["pytest", str(tmp_path / "test_mine.py")]
    done = subprocess.run(
        [sys.executable, "-m", *command, "-q"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert f"{3 if template == 'pytorch' else 2} passed" in done.stdout


def test_no_file_is_overwritten(tmp_path):
    (tmp_path / "test_mine.py").write_text("precious")
    with pytest.raises(UsageError, match=r"test_mine\.py: exists already"):
        write_benchmark("mine", "minimal", tmp_path, Library())
    assert [path.name for path in tmp_path.iterdir()] == ["test_mine.py"]
    assert (tmp_path / "test_mine.py").read_text() == "precious"


def test_a_broken_link_is_in_the_way_too(tmp_path):
    (tmp_path / "mine.py").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"mine\.py: exists already"):
        write_benchmark("mine", "minimal", tmp_path, Library())
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"file/mine\.yaml: "):
        write_benchmark("mine", "minimal", tmp_path / "file", Library())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("3d-net", "begins with a letter"),
        ("Mine", "lower-case letters"),
        ("../mine", "lower-case letters"),
        ("", "lower-case letters"),
        ("a" * 101, "lower-case letters"),
        ("a" * 256, "lower-case letters"),
        ("class", "word of Python or YAML"),
        ("none", "word of Python or YAML"),
        ("null", "word of Python or YAML"),
        ("off", "word of Python or YAML"),
        ("json", "module 'json' already"),
        ("apache-beam", "module 'apache_beam' already"),
        ("beambench", "module 'beambench' already"),
        ("overhead-noop", "overhead-noop.yaml"),
    ],
)
def test_a_name_that_cannot_be(refused, name, reason):
    message = refused(name)
    assert message.startswith(f"name {name!r}: ")
    assert reason in message


def test_a_template_that_there_is_not(refused):
    assert refused("mine", "sckit-learn") == (
        "no template 'sckit-learn' (did you mean 'scikit-learn'?): "
        "there is minimal, pytorch, scikit-learn"
    )


def test_sample_input_is_written_too(tmp_path, monkeypatch):
    template = tmp_path / "templates" / "rows"
    template.mkdir(parents=True)
    (template / "my-benchmark.yaml").write_text("input: {source: my-benchmark.csv}\n")
    (template / "my-benchmark.csv").write_text("1,2\n3,4\n")
    monkeypatch.setattr(new, "TEMPLATES", template.parent)
    written = write_benchmark("mine", "rows", tmp_path / "here", Library())
    assert [path.name for path in written.files] == ["mine.yaml", "mine.csv"]
    assert written.files[0].read_text() == "input: {source: mine.csv}\n"
    assert written.files[1].read_text() == "1,2\n3,4\n"


def test_the_commands_are_words_of_a_shell(tmp_path):
    written = write_benchmark("mine", "minimal", tmp_path / "a folder", Library())
    words = shlex.split(written.commands[0])
    assert words[2] == str(written.files[0])


@pytest.mark.parametrize("into", ["a" * 300, "file/mine"])
def test_a_folder_that_cannot_be_made(tmp_path, into):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"mine\.yaml: cannot be written: "):
        write_benchmark("mine", "minimal", tmp_path / into, Library())


@pytest.mark.real
@pytest.mark.parametrize(
    ("template", "needs", "parameter"),
    [("pytorch", "torch", "classes"), ("scikit-learn", "sklearn", "features")],
)
def test_weights_are_made_once_for_each_seed_and_parameter(
    tmp_path, monkeypatch, template, needs, parameter
):
    pytest.importorskip(needs)
    name = f"made-by-{needs}"
    written = write_benchmark(name, template, tmp_path / "here", Library())
    monkeypatch.syspath_prepend(str(tmp_path / "here"))
    cache = tmp_path / "cache"

    def fetch(seed: int, *overrides: str) -> Path:
        definition = Library([written.files[0]]).resolve(name, overrides=overrides).definition
        path = load_class(definition.workload).fetch_weights(definition, seed, cache).path
        assert path is not None
        return path

    first = fetch(0)
    before = first.stat().st_mtime_ns
    assert (fetch(0), first.stat().st_mtime_ns) == (first, before)
    assert len({first, fetch(1), fetch(0, f"parameters.{parameter}=12")}) == 3
    assert len(list(cache.iterdir())) == 3  # and nothing partial
