"""Every verb, as text and as JSON: answers go to stdout, all else to stderr."""

import json
import subprocess
import sys

import pytest

from beambench.cli.listing import COLUMNS
from beambench.metrics.registry import metrics as registered
from beambench.store import RunStore
from beambench.version import __version__

CATALOG = [
    "huggingface-pipeline-minilm",
    "onnx-digits",
    "overhead-noop",
    "pytorch-image-classification-efficientnet-lite0",
    "pytorch-image-classification-resnet101",
    "pytorch-image-classification-resnet152",
    "pytorch-image-classification-resnet152-t4",
    "pytorch-language-modeling-bert-base",
    "pytorch-language-modeling-bert-large",
    "pytorch-sentiment-distilbert-batch",
    "pytorch-sentiment-distilbert-streaming",
    "pytorch-text-embedding-minilm",
    "remote-endpoint",
    "sklearn-digits",
    "vllm-gemma-2b-batch",
]
STORE = "sqlite:///runs.db"


def as_process(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "beambench", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def stored(folder, make_record):
    """Three stored runs, the newest last."""
    records = [make_record(number) for number in (1, 2, 3)]
    with RunStore.open(STORE) as store:
        for record in records:
            store.add(record)
    return records


# --- help and version -----------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["--help"]], ids=["nothing", "help"])
def test_help_names_the_verbs_the_precedence_and_the_exit_codes(beambench, arguments):
    answer = beambench(*arguments)
    assert (answer.code, answer.err) == (0, "")
    for verb in ("run", "list", "show", "validate", "history", "new", "doctor"):
        assert f"\n  {verb} " in answer.out
    text = " ".join(answer.out.split())
    assert "command line > environment (BEAMBENCH_*) > project file (beambench.yaml) >" in text
    assert "124 timed out, 130 interrupted" in text


def test_metrics_are_explained_as_they_are_defined(beambench):
    latency = next(metric for metric in registered() if metric.name == "element_latency_mean")
    answer = beambench("metrics", "element_latency_mean", "peak_memory")
    assert (answer.code, answer.err) == (0, "")
    words = " ".join(answer.out.split())
    assert words.startswith(f"element_latency_mean s, lower is better {latency.formula}")
    assert "peak_memory B, lower is better" in words
    document = beambench("metrics", "--json").document
    assert [entry["name"] for entry in document] == [metric.name for metric in registered()]
    beams = {entry["beam_label"] for entry in document}
    assert {metric.beam_label for metric in registered() if metric.beam_label} <= beams


def test_a_metric_that_is_none(beambench):
    answer = beambench("metrics", "peak_memori")
    assert (answer.code, answer.out) == (2, "")
    assert "no metric 'peak_memori' (did you mean 'peak_memory'?)" in answer.err


@pytest.mark.parametrize("verb", ["run", "list", "show", "validate", "history", "new", "doctor"])
def test_every_verb_has_help_and_json(beambench, verb):
    answer = beambench(verb, "--help")
    assert (answer.code, answer.err) == (0, "")
    assert "--json" in answer.out


def test_version(beambench):
    assert beambench("--version") == beambench("--version", "--help")
    assert beambench("--version").out == f"beambench {__version__}\n"


# --- list -----------------------------------------------------------------------------------------


def test_list(beambench):
    answer = beambench("list")
    assert (answer.code, answer.err) == (0, "")
    rows = [line for line in answer.out.splitlines() if not line.startswith(" ")]  # not folded
    assert [row.split()[0] for row in rows] == ["name", *CATALOG]
    assert rows[5].rstrip().endswith("batch      75 × n1-standard-2")


def test_list_as_json(beambench):
    answer = beambench("list", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert [row["name"] for row in answer.document] == CATALOG
    resnet = answer.document[4]
    assert set(resnet) == {*COLUMNS, "distribution"}
    assert resnet["distribution"] is None
    assert resnet["title"] == "Image classification, ResNet-101, CPU"
    assert resnet["model"]["size_mib"] == 170.5
    assert resnet["input"] == {"type": "images", "source": "packaged", "labels": None}
    assert resnet["cluster"]["workers"] == 75


def test_list_with_definitions_of_ones_own(beambench, folder, mine):
    (folder / "mine.yaml").write_text(mine)
    answer = beambench("list", "--json", "--definitions", "mine.yaml")
    assert [row["name"] for row in answer.document] == sorted(["mine", *CATALOG])


def test_text_of_others_steers_no_terminal(beambench, folder, mine):
    (folder / "mine.yaml").write_text(mine.replace("title: Mine", r'title: "[red]\e[2J\u202Ex"'))
    answer = beambench("list", "--definitions", "mine.yaml")
    assert r"[red]\x1b[2J\u202ex" in answer.out
    assert "\x1b" not in answer.out


# --- show -----------------------------------------------------------------------------------------


def test_show_a_definition(beambench):
    answer = beambench("show", "pytorch-image-classification-resnet101")
    assert (answer.code, answer.err) == (0, "")
    assert "workers: 75" in answer.out
    assert "title: Image classification, ResNet-101, CPU" in answer.out


def test_show_a_definition_as_json(beambench):
    answer = beambench("show", "pytorch-image-classification-resnet101", "--json")
    document = answer.document
    assert (answer.code, answer.err) == (0, "")
    assert list(document["variants"]) == [
        "stock",
        "tuned",
        "tuned-bf16",
        "tuned-channels-last",
        "tuned-compiled",
        "tuned-batched",
        "tuned-decode",
        "tuned-fixed-batch",
        "tuned-one-thread",
    ]
    assert document["variants"]["stock"] == {}
    assert document["variants"]["tuned-one-thread"] == {"threads": 1}
    assert document["model"]["weights"] == "pretrained"
    assert document["file"].endswith("pytorch-image-classification-resnet101.yaml")
    assert len(document["definition_hash"]) == 64


def test_show_a_definition_file(beambench, folder, mine):
    (folder / "mine.yaml").write_text(mine)
    assert beambench("show", "mine.yaml", "--json").document["name"] == "mine"


def test_show_a_run(beambench, stored):
    answer = beambench("show", stored[1].run_id, "--store", STORE)
    assert (answer.code, answer.err) == (0, "")
    assert f"run {stored[1].run_id}: succeeded" in answer.out
    assert "3,168 1/s" in answer.out
    assert "verification: passed; 50 in, 50 out, 0 failed, 0 duplicates" in answer.out


def test_show_a_run_as_json_is_the_document_that_was_stored(beambench, stored):
    answer = beambench("show", stored[1].run_id, "--json", "--store", STORE)
    assert answer.document == stored[1].model_dump(mode="json")


def test_show_a_run_by_the_beginning_of_its_id(beambench, stored):
    answer = beambench("show", "20260131T1002", "--json", "--store", STORE)
    assert answer.document["run_id"] == stored[1].run_id


def test_show_a_beginning_that_several_runs_have(beambench, stored):
    answer = beambench("show", "2026", "--store", STORE)
    assert (answer.code, answer.out) == (2, "")
    assert all(record.run_id in answer.err for record in stored)
    assert answer.err.endswith("give more characters\n")


# --- history --------------------------------------------------------------------------------------


def test_history_shows_the_newest_first(beambench, stored):
    answer = beambench("history", "overhead-noop", "--store", STORE)
    assert (answer.code, answer.err) == (0, "")
    head, *rows = answer.out.splitlines()
    assert head.split()[0] == "run"
    assert [row.split()[0] for row in rows] == [record.run_id for record in reversed(stored)]
    assert rows[0].split()[-2:] == ["3,168", "1"]


def test_history_as_json(beambench, stored):
    answer = beambench("history", "overhead-noop", "--limit", "2", "--json", "--store", STORE)
    assert (answer.code, answer.err) == (0, "")
    assert [row["run_id"] for row in answer.document] == [stored[2].run_id, stored[1].run_id]
    assert answer.document[0]["metrics"]["throughput_elements"]["value"] == 3168.25


def test_history_of_a_benchmark_that_never_ran(beambench):
    answer = beambench("history", "overhead-noop", "--store", STORE)
    assert (answer.code, answer.out) == (0, "no run of overhead-noop in this store\n")
    assert beambench("history", "overhead-noop", "--json", "--store", STORE).document == []


def test_history_of_a_definition_that_is_gone(beambench, folder, make_record):
    with RunStore.open(STORE) as store:
        store.add(make_record(benchmark="gone"))
    assert len(beambench("history", "gone", "--json", "--store", STORE).document) == 1


def test_history_shows_a_missing_metric_as_unknown(beambench, folder, make_record):
    with RunStore.open(STORE) as store:
        store.add(make_record(status="failed", metrics={}))
    row = beambench("history", "overhead-noop", "--store", STORE).out.splitlines()[1]
    assert row.split()[-4:] == ["failed", "synthetic,", "none", "unknown"]


# --- validate -------------------------------------------------------------------------------------


def test_validate_the_catalog(beambench):
    answer = beambench("validate")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [f"ok      {name}" for name in CATALOG]


def test_validate_as_json(beambench):
    answer = beambench("validate", "overhead-noop", "--json")
    (row,) = answer.document
    assert (row["what"], row["name"], row["error"]) == ("overhead-noop", "overhead-noop", None)
    assert len(row["definition_hash"]) == 64


def test_validate_a_folder_finds_the_bad_file(beambench, folder, mine):
    (folder / "mine").mkdir()
    (folder / "mine" / "a.yaml").write_text(mine)
    (folder / "mine" / "b.yaml").write_text(mine.replace("name: mine", "name: b") + "tilte: x\n")
    (folder / "mine" / "c.yaml").write_text("inherit: mine\nname: c\n")
    (folder / "mine" / "d.yaml").write_text("inherit: a\nname: mine\n")
    (folder / "mine" / "_base.yaml").write_text("titel: of a base\n")
    answer = beambench("validate", "mine")
    assert (answer.code, answer.err) == (2, "")
    ok, bad, by_name, doubled = answer.out.splitlines()
    assert ok == "ok      mine/a.yaml"
    assert bad == "error   mine/b.yaml: unknown key tilte (did you mean 'title'?)"
    assert by_name == "ok      mine/c.yaml"
    assert doubled.startswith("error   mine/d.yaml: name 'mine' is taken by mine/a.yaml")


def test_validate_checks_every_variant_in_every_profile(beambench, folder, mine):
    (folder / "mine.yaml").write_text(
        mine + "variants: {good: {}, bad: {profiles: {local: {limit: 0}}}}\n"
    )
    answer = beambench("validate", "mine.yaml", "--json")
    assert answer.code == 2
    assert "profiles.local.limit: input should be greater" in answer.document[0]["error"]


def test_validate_checks_what_only_the_workload_knows(beambench, folder):
    (folder / "mine.yaml").write_text(
        "inherit: pytorch-image-classification-resnet101\nname: mine\nparameters: {resise: 3}\n"
    )
    answer = beambench("validate", "mine.yaml")
    assert answer.code == 2
    assert "parameters: unknown key resise (did you mean 'resize'?)" in answer.out


def test_validate_a_mixture(beambench, folder, mine):
    (folder / "mine.yaml").write_text(mine)
    answer = beambench("validate", "overhead-noop", "mine.yaml", "overhead-nop", "--json")
    assert answer.code == 2
    assert [row["error"] is None for row in answer.document] == [True, True, False]


def test_validate_an_empty_folder_is_no_success(beambench, folder):
    (folder / "empty").mkdir()
    answer = beambench("validate", "empty")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "beambench: empty: no definition in this folder (files ending in .yaml)\n"


def test_the_example_of_the_documentation_is_valid(beambench, folder):
    # A file of weights in a benchmark whose parent takes random ones in its smaller profiles.
    (folder / "mine.yaml").write_text(
        "inherit: pytorch-image-classification-resnet101\nname: mine\n"
        "model: {name: resnet50, weights: file, path: resnet50.pth, size_mib: 97.8}\n"
        "input: {type: images, source: photographs, labels: labels.tsv}\n"
    )
    assert beambench("validate", "mine.yaml").out == "ok      mine.yaml\n"


# --- doctor ---------------------------------------------------------------------------------------


def test_doctor(beambench, folder):
    answer = beambench("doctor", "--store", STORE)
    assert (answer.code, answer.err) == (0, "")
    assert "yes  package  apache-beam: 2.77.0" in answer.out
    assert "yes  runner   direct: " in answer.out
    assert "yes  store    store: sqlite:///runs.db is writable" in answer.out


def test_doctor_as_json(beambench):
    answer = beambench("doctor", "--json", "--store", STORE)
    checks = {check["name"]: check for check in answer.document}
    assert {"python", "apache-beam", "torch", "direct", "cpu", "gpu", "store"} <= set(checks)
    assert checks["cpu"]["usable"] is True
    assert checks["gpu"]["detail"]


def test_doctor_says_what_is_wrong_with_the_store(beambench, folder):
    (folder / "runs.db").write_text("this is no database, but text " * 100)
    answer = beambench("doctor", "--store", STORE)
    assert answer.code == 3
    assert "no   store    store: sqlite:///runs.db: is not a SQLite database" in answer.out


# --- run --dry-run --------------------------------------------------------------------------------


def test_dry_run(beambench, folder):
    answer = beambench("run", "overhead-noop", "--dry-run", "--profile", "smoke", "--limit", "7")
    assert (answer.code, answer.err) == (0, "")
    assert "overhead-noop  variant stock, profile smoke, runner direct, definition " in answer.out
    assert "  limit: 7\n" in answer.out
    assert list(folder.iterdir()) == []


def test_dry_run_as_json(beambench):
    document = beambench(
        *("run", "overhead-noop", "--dry-run", "--json", "--set", "batching.max_batch_size=70"),
        *("--seed", "3", "--repeats", "2", "--reference", "loop", "--", "--direct_num_workers=1"),
    ).document
    assert document["benchmark"] == "overhead-noop"
    assert (document["variant"], document["profile"]) == ("stock", "local")
    config = document["config"]
    assert config["overrides"] == ["batching.max_batch_size=70"]
    assert config["definition"]["batching"]["max_batch_size"] == 70
    assert (config["seed"], config["repeats"], config["reference"]) == (3, 2, "loop")
    assert config["beam_flags"] == ["--direct_num_workers=1"]


def test_dry_run_of_several(beambench):
    document = beambench("run", *CATALOG[:2], "--dry-run", "--json").document
    assert [run["benchmark"] for run in document] == CATALOG[:2]


def test_dry_run_of_a_file(beambench, folder, mine):
    (folder / "mine.yaml").write_text(mine)
    assert beambench("run", "./mine.yaml", "--dry-run", "--json").document["benchmark"] == "mine"


def test_the_limit_of_a_profile_is_for_the_benchmarks_own_input(beambench, folder):
    (folder / "a.jpg").write_bytes(b"never read")
    efficientnet = CATALOG[3]

    def limit(*options):
        return beambench("run", efficientnet, "--dry-run", "--json", *options).document["config"][
            "limit"
        ]

    assert limit() == 200
    assert limit("--input", ".") is None
    assert limit("--input", ".", "--limit", "3") == 3
    assert limit("--input", "synthetic") == 200


# --- as a process ---------------------------------------------------------------------------------


def test_as_a_process_json_is_all_of_stdout(folder):
    done = as_process(folder, "list", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)) == len(CATALOG)


def test_as_a_process_a_mistake_is_one_line(folder):
    done = as_process(folder, "run", "overhead-nop")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("beambench: no benchmark 'overhead-nop'")


def test_as_a_process_a_dry_run(folder):
    done = as_process(folder, "run", "overhead-noop", "--dry-run", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["benchmark"] == "overhead-noop"


def test_a_reader_that_goes_away_is_no_error_of_ours(folder):
    command = f"{sys.executable} -m beambench show overhead-noop --json | true"
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


# --- what is loaded -------------------------------------------------------------------------------

HEAVY = ("apache_beam", "torch", "torchvision", "transformers", "scipy", "pandas")
LIGHT = [
    "beambench",
    "beambench.cli",
    "beambench.experiments",
    "beambench.setup",
    "beambench.controller",
    "beambench.store",
    "beambench.definition",
    "beambench.machine",
    "beambench.metrics",
    "beambench.record",
    "beambench.analysis",
    "beambench.cost",
    "beambench.request",
    "beambench.runners",
]
IMPORT_ALL = """
import importlib, json, pkgutil, sys
loaded = {}
for name in json.loads(sys.argv[1]):
    module = importlib.import_module(name)
    below = [] if name == "beambench" else pkgutil.walk_packages(module.__path__, f"{name}.")
    for module in below:
        if not module.name.endswith("__main__") and ".beam." not in module.name:
            importlib.import_module(module.name)
    loaded[name] = [heavy for heavy in json.loads(sys.argv[2]) if heavy in sys.modules]
print(json.dumps(loaded))
"""
EXECUTE = """
import json, sys
from beambench.cli.main import execute
codes = {}
for arguments in json.loads(sys.argv[1]):
    code = execute(arguments)
    names = [name for name in json.loads(sys.argv[2]) if name in sys.modules]
    codes[json.dumps(arguments)] = [code, names]
print(json.dumps(codes))
"""
WITHOUT_STORE = [["--help"], ["list"], ["list", "--json"], ["validate"]]
LIGHT_VERBS = [
    ["history", "overhead-noop"],
    ["doctor"],
    ["run", "pytorch-image-classification-resnet101", "--dry-run"],
    ["options", "pytorch-image-classification-resnet101", "--runner", "dataflow"],
    ["options", "pytorch-image-classification-resnet101", "--requirements"],
    ["run", "--pipeline", "apache_beam.examples.inference.pytorch_sentiment:run", "--dry-run"],
]


def fresh(script, *arguments):
    """Run a script in a fresh process and return the last line that it printed, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", script, *(json.dumps(argument) for argument in arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_the_light_parts_load_nothing_heavy():
    assert fresh(IMPORT_ALL, LIGHT, HEAVY) == {name: [] for name in LIGHT}


@pytest.fixture(scope="module")
def loaded_without_store():
    """What is loaded after each command line, one after the other in one process."""
    return fresh(EXECUTE, WITHOUT_STORE, [*HEAVY, "sqlalchemy"])


@pytest.fixture(scope="module")
def loaded_by_light_verbs(tmp_path_factory):
    """Likewise, with a store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        return fresh(EXECUTE, LIGHT_VERBS, HEAVY)


@pytest.mark.parametrize("arguments", WITHOUT_STORE, ids=" ".join)
def test_what_needs_no_store_loads_no_sqlalchemy(loaded_without_store, arguments):
    assert loaded_without_store[json.dumps(arguments)] == [0, []]


@pytest.mark.parametrize("arguments", LIGHT_VERBS, ids=lambda arguments: " ".join(arguments[::2]))
def test_nothing_heavy_is_loaded_to_answer(loaded_by_light_verbs, arguments):
    assert loaded_by_light_verbs[json.dumps(arguments)] == [0, []]
