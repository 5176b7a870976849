"""`beambench new`: what is written and said, and that a run of it follows at once."""

import shlex

import pytest

from beambench.cli.main import root_command
from beambench.setup.new import templates
from fast_runs import command_line

FILES = ["mine.yaml", "mine.py", "mine_handler.py", "test_mine.py"]


def test_new(beambench, folder):
    answer = beambench("new", "mine", "--from", "minimal")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [
        *(f"wrote {name}" for name in FILES),
        "next:",
        "  beambench run ./mine.yaml --profile smoke",
        "  beambench run ./mine.yaml --reference loop",
        "  pytest test_mine.py",
    ]
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)


def test_new_as_json(beambench, folder):
    answer = beambench("new", "mine", "--from", "minimal", "--into", "deep/er", "--json")
    assert (answer.code, answer.err) == (0, "")
    document = answer.document
    assert set(document) == {"name", "template", "files", "commands"}
    assert (document["name"], document["template"]) == ("mine", "minimal")
    assert document["files"] == [f"deep/er/{name}" for name in FILES]
    assert all((folder / path).is_file() for path in document["files"])
    assert document["commands"][0] == "beambench run deep/er/mine.yaml --profile smoke"


def test_it_is_valid_and_can_be_planned(beambench):
    # A name that no other test has: this one imports the module.
    beambench("new", "planned", "--from", "minimal")
    assert beambench("validate", "planned.yaml").out == "ok      planned.yaml\n"
    answer = beambench("run", "./planned.yaml", "--profile", "smoke", "--dry-run", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert answer.document["benchmark"] == "planned"
    assert answer.document["config"]["limit"] == 200


def test_the_help_names_every_template():
    new = root_command().commands["new"]
    (option,) = [parameter for parameter in new.params if "--from" in parameter.opts]
    assert [word.strip(" .") for word in option.help.partition(":")[2].split(",")] == templates()


@pytest.mark.real
def test_what_it_says_next_runs_and_is_verified(beambench, folder):
    document = beambench("new", "mine", "--from", "minimal", "--json").document
    words = shlex.split(document["commands"][0])
    assert words[0] == "beambench"
    with command_line(folder, *words[1:], "--store", "sqlite:///runs.db") as run:
        assert run.end() == 0, run.errors
        assert "verification: passed; 200 in, 200 out, 0 failed" in run.output
