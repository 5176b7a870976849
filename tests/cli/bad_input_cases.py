"""The mistakes that were tried: command line, files around it, exit code, and what one reads.

`docs/errors.md` is made from this table and from the lines that the tests saw.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import re
import sqlite3
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

import costed_runs

IMAGES = "pytorch-image-classification-efficientnet-lite0"
SENTENCES = "pytorch-language-modeling-bert-base"
BEAMS_ROWS = {"source": "rows.csv", "format": "beam", "imported_at": "2026-01-31T10:00:00.000Z"}
PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
WRITE = "BEAMBENCH_TEST_WRITE_ERRORS"

REGRESSION = (
    b'\x08\x08:O\n\x0f\n\x01X\n\x01W\x12\x01y"\x04Gemm\x12\x01g*\x13\x08\x02\x08\x01\x10\x01"\x08'
    b"\x00\x00\x80?\x00\x00\x00@B\x01WZ\x11\n\x01X\x12\x0c\n\n\x08\x01\x12\x06\n\x00\n\x02\x08\x02b\x11\n\x01y"
    b"\x12\x0c\n\n\x08\x01\x12\x06\n\x00\n\x02\x08\x01B\x04\n\x00\x10\r"
)
"""An ONNX model: X of shape (?, 2) to y = X·(1, 2) of shape (?, 1)."""

USAGE, FAILED, TIMED_OUT, INTERRUPTED = 2, 3, 124, 130

Content = str | bytes | None
"""Content of a file; None: a folder."""


@dataclass(frozen=True)
class Case:
    """One mistake.

    Attributes:
        mistake: what was done, as the page names it; unique.
        command: what follows `beambench`, in a shell's words; IMAGES and SENTENCES stand for the
            benchmarks.
        code: exit code.
        words: what the line on stderr must contain.
        files: files of the current folder.
        environment: variables; `{here}` stands for the current folder.
        status: status of the record that must be stored and printed; None: no run exists.
        file_size: greatest size of a file that the process may write, as on a full disk.
        interrupted: whether Ctrl-C is pressed once the run has begun.
        failed: elements that the record must name as failed.
        real: whether workers run, which takes seconds.
        here: whether the worker may run in the process of the tests, which saves its imports.
    """

    mistake: str
    command: str
    code: int
    words: tuple[str, ...]
    files: Mapping[str, Content] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    status: str | None = None
    file_size: int | None = None
    interrupted: bool = False
    failed: tuple[str, ...] = ()
    real: bool = False
    here: bool = False


def jpeg(number: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (48, 32), (number, 255 - number, 7 * number % 256)).save(buffer, "JPEG")
    return buffer.getvalue()


def truncated_jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.radial_gradient("L").save(buffer, "JPEG")
    return buffer.getvalue()[: len(buffer.getvalue()) * 2 // 3]


def make_newer_database(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TABLE beambench_schema (id INTEGER PRIMARY KEY, version INTEGER)"
        )
        connection.execute("INSERT INTO beambench_schema VALUES (1, 99)")
        connection.commit()


def make_priced_runs(path: Path) -> None:
    """Make a store of the runs whose cost is asked for."""
    path.write_bytes(_priced_runs())


@functools.cache
def _priced_runs() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        _store_priced_runs(Path(folder, "runs.db"))
        return Path(folder, "runs.db").read_bytes()


def _store_priced_runs(path: Path) -> None:
    """Store runs whose cost is asked for, by the minute in their ids."""
    existing = {"pipeline": "my.module:run"}
    nothing = [costed_runs.repeat(0, {})]
    streaming = "pytorch-sentiment-distilbert-streaming"
    costed_runs.keep(
        path,
        costed_runs.local_run(1),
        costed_runs.local_run(2, status="failed", error="killed"),
        costed_runs.local_run(3, repeats=nothing),
        costed_runs.local_run(4, variant="tuned-bf16", profile="smoke"),
        costed_runs.local_run(5, peak_gb=6.0),
        costed_runs.local_run(6, overrides=[]),
        costed_runs.local_run(7, config=existing),
        costed_runs.local_run(8, benchmark=streaming),
        costed_runs.local_run(9, benchmark="overhead-noop", overrides=[]),
        costed_runs.job(10),
        costed_runs.job(11, repeats=nothing),
        costed_runs.local_run(12, benchmark="pytorch-image-classification-resnet152-t4"),
        costed_runs.local_run(13, runner={"requested": "flink", "executed": "flink"}),
        costed_runs.local_run(14, config=costed_runs.local_run().config | {"output": {"to": "x"}}),
        costed_runs.local_run(15, variant="tuned-compiled"),
        costed_runs.local_run(16, benchmark="remote-endpoint", overrides=[]),
        costed_runs.local_run(17, config={"beam_rows": {}}, imported=BEAMS_ROWS),
    )


MINE = """\
name: mine
title: Mine
workload: overhead
model: {name: noop, weights: none}
input: {type: numbers, source: synthetic}
profiles:
  local: {limit: 5, repeats: 1, timeout: 60, slot_seconds: 1}
"""
TEXT = "This is no photograph.\n"
NEWER = b"a database of a newer beambench, made where it is needed"
PRICED = b"a store of runs that can or cannot be priced, made where it is needed"
TWO_HUNDRED: dict[str, Content] = {
    "photos": None,
    **{f"photos/{number:03d}.jpg": jpeg(number) for number in range(200)},
    "photos/100.jpg": TEXT.strip(),
}
SMALL = "--set parameters.resize=64 --set parameters.crop=64"
OFFLINE = {
    "https_proxy": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "no_proxy": "",
    "NO_PROXY": "",
    "TORCH_HOME": "{here}/torch",
}
NO_CREDENTIALS = {"HOME": "{here}", "GOOGLE_APPLICATION_CREDENTIALS": "", "NO_GCE_CHECK": "true"}


def defined(old: str = "", new: str = "", added: str = "") -> dict[str, Content]:
    """Return a definition file with one text replaced and some added."""
    assert old in MINE
    return {"mine.yaml": (MINE.replace(old, new) if old else MINE) + added}


PIPELINE = """\
import argparse
import apache_beam as beam


def run(argv=None, test_pipeline=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", required=True)
    parser.parse_known_args(argv)
    numbers = test_pipeline | beam.Create([1, 2])
    _ = numbers | beam.Map(lambda number: 1 / (number - 2))


def own(argv=None, test_pipeline=None):
    with beam.Pipeline():
        pass


def old(argv=None):
    pass


async def later(argv=None, test_pipeline=None):
    pass


def lossy(argv=None, test_pipeline=None):
    from apache_beam.ml.inference.base import ModelHandler, RunInference

    class First(ModelHandler):
        def load_model(self):
            return First()

        def run_inference(self, batch, model, inference_args=None):
            return batch[:1]

    numbers = test_pipeline | beam.Create(range(8))
    _ = numbers | "Infer" >> RunInference(First(min_batch_size=8, max_batch_size=8))
"""
THERE: dict[str, Content] = {"my_pipeline.py": PIPELINE}

PROJECT = "-- --project=my-project"
JOB = f"{PROJECT} --temp_location=gs://my-bucket/tmp"
IN_STORE = "--store sqlite:///runs.db"
STORED: dict[str, Content] = {"runs.db": PRICED}
PRICES = """\
name: mine
service: our machines
region: there
currency: EUR
source: invoice
date: 2026-06-01
machines:
  box: {vcpus: 2, memory_gb: 8, per_hous: 0.1}
"""

SECTIONS: dict[str, list[Case]] = {
    "The command line": [
        Case(
            "a verb that there is not", "runn overhead-noop", USAGE, ("'runn'", "'run'", "--help")
        ),
        Case(
            "an option that there is not",
            "run overhead-noop --reapeats 3",
            USAGE,
            ("--reapeats", "--repeats"),
        ),
        Case("no benchmark named", "run", USAGE, ("NAME", "beambench run --help")),
        Case(
            "a benchmark that there is not",
            "run overhead-nop",
            USAGE,
            ("'overhead-nop'", "did you mean 'overhead-noop'?", "beambench list"),
        ),
        Case(
            "a run that there is not",
            "show 20260131T100000Z-00000000",
            USAGE,
            ("20260131T100000Z-00000000", "beambench history"),
        ),
        Case(
            "a history of a benchmark that there is not",
            "history overhead-nop",
            USAGE,
            ("'overhead-nop'", "did you mean 'overhead-noop'?"),
        ),
        Case(
            "a comparison with a run that there is not",
            "compare 20260131T100000Z-00000000 20260131T100100Z-00000001",
            USAGE,
            ("20260131T100000Z-00000000", "beambench history"),
        ),
        Case(
            "a comparison of a benchmark with nothing",
            "compare overhead-noop",
            USAGE,
            ("nothing to compare with", "--candidate SETTINGS", "--control"),
        ),
        Case(
            "a candidate that is no setting",
            "compare overhead-noop --candidate tuned",
            USAGE,
            ("--candidate 'tuned'", "expected key=value"),
        ),
        Case(
            "a candidate that is the same as the base",
            "compare overhead-noop --candidate batching.max_batch_size=100",
            USAGE,
            ("candidate is the same as base", "--control"),
        ),
        Case(
            "another environment that there is not",
            "compare overhead-noop --candidate-python .venv-x/bin/python",
            FAILED,
            ("python .venv-x/bin/python: no such file", "bin/python of an environment"),
        ),
        Case(
            "a width of an interval in another form",
            "compare overhead-noop --control --until 2%",
            USAGE,
            ("--until '2%'", "write 'ci<2%'"),
        ),
        Case(
            "a margin that is no share",
            "compare 20260131T100000Z-00000000 20260131T100100Z-00000001 --margin 3",
            USAGE,
            ("--margin 3:", "such as 3%"),
        ),
        Case(
            "a template that there is not",
            "new mine --from minimall",
            USAGE,
            ("'minimall'", "did you mean 'minimal'?", "pytorch"),
        ),
        Case(
            "a new benchmark where a file is",
            "new mine --from minimal",
            USAGE,
            ("mine.py: exists already", "--into"),
            files={"mine.py": "precious = True\n"},
        ),
        Case(
            "a new benchmark whose name no module can have",
            "new 3d-net --from minimal",
            USAGE,
            ("'3d-net'", "begins with a letter"),
        ),
        Case(
            "a new benchmark named like an installed module",
            "new json --from minimal",
            USAGE,
            ("'json'", "choose another name"),
        ),
        Case("a negative limit", "run overhead-noop --limit -3", USAGE, ("--limit -3", "1")),
        Case("a limit of zero", "run overhead-noop --limit 0", USAGE, ("--limit 0", "1")),
        Case(
            "a limit in words", "run overhead-noop --limit many", USAGE, ("--limit many", "integer")
        ),
        Case("no repeats", "run overhead-noop --repeats 0", USAGE, ("--repeats 0", "1")),
        Case(
            "a negative time limit",
            "run overhead-noop --timeout -1",
            USAGE,
            ("timeout -1", "above 0"),
        ),
        Case(
            "no time limit at all",
            "run overhead-noop --timeout inf",
            USAGE,
            ("timeout inf", "seconds"),
        ),
        Case(
            "a share of more than everything",
            "run overhead-noop --max-failed 2",
            USAGE,
            ("--max-failed 2", "less than or equal to 1"),
        ),
        Case("a negative seed", "run overhead-noop --seed -1", USAGE, ("--seed -1", "0")),
        Case(
            "a reference that there is not",
            "run overhead-noop --reference lop",
            USAGE,
            ("--reference lop", "'loop'"),
        ),
        Case(
            "a runner that there is not",
            "run overhead-noop --runner flnk",
            USAGE,
            ("no runner 'flnk'", "direct"),
        ),
        Case(
            "--cancel without the job",
            "run overhead-noop --cancel",
            USAGE,
            ("--cancel goes with --attach JOB_ID",),
        ),
        Case(
            "--on-stop without a job",
            "run overhead-noop --on-stop cancel",
            USAGE,
            ("--on-stop goes with --runner dataflow or --attach",),
        ),
        Case(
            "a job whose project nothing says",
            "run --attach 2026-01-31_01_02_03-123",
            USAGE,
            ("job 2026-01-31_01_02_03-123: no project", "--project"),
            environment={"GOOGLE_CLOUD_PROJECT": "", "CLOUDSDK_CORE_PROJECT": ""},
        ),
        Case(
            "a job id that cannot be",
            "run --attach ../jobs -- --project=p --region=us-central1",
            USAGE,
            ("job id '../jobs'",),
        ),
        Case(
            "a region that cannot be",
            "run --attach 2026-01-31_01_02_03-123 -- --project=p --region=Iowa",
            USAGE,
            ("region 'Iowa'", "us-central1"),
        ),
        Case(
            "an option that a job which runs already cannot be given",
            "run --attach 2026-01-31_01_02_03-123 --limit 5",
            USAGE,
            ("--limit does not go with --attach",),
        ),
        Case(
            "several benchmarks for one job",
            "run overhead-noop overhead-noop --attach 2026-01-31_01_02_03-123",
            USAGE,
            ("--attach resumes one job", "not 2"),
        ),
        Case(
            "an address of the service in the clear",
            "run --attach 2026-01-31_01_02_03-123 -- --project=p --region=us-central1",
            USAGE,
            ("endpoint 'http://dataflow.example.com'", "use https"),
            environment={"CLOUDSDK_API_ENDPOINT_OVERRIDES_DATAFLOW": "http://dataflow.example.com"},
        ),
        Case(
            "a variant that there is not",
            "run overhead-noop --variant tuned",
            USAGE,
            ("no variant 'tuned'", "stock"),
        ),
        Case(
            "a profile that there is not",
            "run overhead-noop --profile smok",
            USAGE,
            ("no profile 'smok'", "did you mean 'smoke'?"),
        ),
        Case(
            "a label without a value",
            "run overhead-noop --label nightly",
            USAGE,
            ("'nightly'", "key=value"),
        ),
        Case(
            "a label twice",
            "run overhead-noop --label a=1 --label a=2",
            USAGE,
            ("'a=2'", "twice"),
        ),
        Case(
            "an argument that is no text",
            "run overhead-noop --label a=\udcff",
            USAGE,
            (r"'a=\udcff'", "UTF-8"),
        ),
    ],
    "A pipeline that exists already": [
        Case(
            "a pipeline without its function",
            "run --pipeline my_pipeline",
            USAGE,
            ("--pipeline my_pipeline", "module:function"),
            THERE,
        ),
        Case(
            "a module that there is not",
            "run --pipeline my_pipelin:run",
            USAGE,
            ("no module 'my_pipelin'", "PYTHONPATH"),
            THERE,
        ),
        Case(
            "a function that there is not",
            "run --pipeline my_pipeline:runn",
            USAGE,
            ("my_pipeline has no function 'runn'",),
            THERE,
            real=True,
        ),
        Case(
            "a function that takes no pipeline",
            "run --pipeline my_pipeline:old",
            USAGE,
            ("old(argv=…, test_pipeline=…)", "'test_pipeline'"),
            THERE,
            real=True,
        ),
        Case(
            "a coroutine as a pipeline",
            "run --pipeline my_pipeline:later --repeats 1",
            USAGE,
            ("--pipeline my_pipeline:later: is a coroutine or a generator",),
            THERE,
            real=True,
        ),
        Case(
            "a file that hides a module of Python",
            "run --pipeline my_pipeline:run",
            USAGE,
            ("random.py: hides Python's own module 'random'", "rename it"),
            files={**THERE, "random.py": "seed = None\n"},
        ),
        Case(
            "a function that makes a pipeline of its own",
            "run --pipeline my_pipeline:own --repeats 1",
            FAILED,
            ("built nothing on the test_pipeline",),
            THERE,
            status="failed",
            real=True,
        ),
        Case(
            "a flag that the function needs",
            "run --pipeline my_pipeline:run",
            USAGE,
            ("my_pipeline:run: the following arguments are required: --output",),
            THERE,
            real=True,
        ),
        Case(
            "a function that raises",
            "run --pipeline my_pipeline:run --repeats 1 -- --output out.txt",
            FAILED,
            ("ZeroDivisionError: division by zero", "my_pipeline.py:10"),
            THERE,
            status="failed",
            real=True,
        ),
        Case(
            "a runner among the pipeline's flags",
            "run --pipeline my_pipeline:run -- --runner=DirectRunner",
            USAGE,
            ("--runner after --",),
            THERE,
        ),
        Case(
            "a flag that neither the pipeline nor Beam reads",
            "run --pipeline my_pipeline:run -- --output out.txt --max_batch_sise=3",
            USAGE,
            ("nothing reads --max_batch_sise", "neither the function's own parser nor Beam"),
            THERE,
            real=True,
        ),
        Case(
            "another runner for a pipeline",
            "run --pipeline my_pipeline:run --runner dataflow",
            USAGE,
            ("runner 'dataflow'", "--pipeline runs on the direct runner only"),
            THERE,
        ),
        Case(
            "a handler that gives one result for a batch of eight",
            "run --pipeline my_pipeline:lossy --repeats 1",
            FAILED,
            ("RunInference Infer: 8 in, 1 out, 0 failed: 7 lost",),
            THERE,
            status="failed",
            real=True,
        ),
        Case(
            "a benchmark and a pipeline",
            "run overhead-noop --pipeline my_pipeline:run",
            USAGE,
            ("overhead-noop", "--pipeline, not both"),
            THERE,
        ),
        Case(
            "an input for a pipeline",
            "run --pipeline my_pipeline:run --input rows.csv",
            USAGE,
            ("--input goes with benchmarks", "after --"),
            THERE,
        ),
        Case(
            "a name that no benchmark could have",
            "run --pipeline my_pipeline:run --name Mine",
            USAGE,
            ("--name 'Mine'", "small letters"),
            THERE,
        ),
        Case(
            "the name of a benchmark for a pipeline",
            "run --pipeline my_pipeline:run --name overhead-noop",
            USAGE,
            ("overhead-noop: is a benchmark's name", "--name"),
            THERE,
        ),
        Case(
            "a name for a benchmark",
            "run overhead-noop --name mine",
            USAGE,
            ("--name goes with --pipeline",),
        ),
    ],
    "Beam's flags": [
        Case(
            "Beam flags with another verb",
            "list -- --streaming",
            USAGE,
            ("--", "beambench run"),
        ),
        Case(
            "a flag that Beam does not have",
            "run overhead-noop -- --streming",
            USAGE,
            ("--streming", "did you mean '--streaming'?"),
            real=True,
        ),
        Case(
            "a runner among Beam's flags",
            "run overhead-noop -- --runner=PrismRunner",
            USAGE,
            ("--runner after --", "beambench's own --runner"),
            real=True,
            here=True,
        ),
    ],
    "Option files": [
        Case(
            "an options file that is missing",
            "run overhead-noop --options-file beam.txt",
            USAGE,
            ("beam.txt", "No such file"),
        ),
        Case(
            "a line that is no flag",
            "run overhead-noop --options-file beam.txt",
            USAGE,
            ("beam.txt:2", "'device'", "--flag=value"),
            files={"beam.txt": "# ours\ndevice = CPU\n"},
        ),
        Case(
            "a quote that is not closed",
            "run overhead-noop --options-file beam.txt",
            USAGE,
            ("beam.txt:1", "quote is not closed"),
            files={"beam.txt": "--metrics_table='mine\n"},
        ),
        Case(
            "a flag with a wrong value",
            "run overhead-noop --options-file beam.txt",
            USAGE,
            ("beam.txt:1", "--num_workers=many", "whole number"),
            files={"beam.txt": "--num_workers=many\n"},
        ),
        Case(
            "a flag that nothing reads",
            "run overhead-noop --options-file beam.txt",
            USAGE,
            ("beam.txt:1", "--inference_batch_size", "--set batching.max_batch_size"),
            files={"beam.txt": "--inference_batch_size=64\n"},
        ),
        Case(
            "a flag with a slip of the pen",
            "run overhead-noop --options-file beam.txt",
            USAGE,
            ("beam.txt:1", "--num_worker:", "did you mean 'num_workers'?"),
            files={"beam.txt": "--num_worker=3\n"},
        ),
        Case(
            "flags for a runner that there is not",
            "options overhead-noop --runner dataflo",
            USAGE,
            ("no runner 'dataflo'", "did you mean 'dataflow'?"),
        ),
    ],
    "Jobs on Dataflow": [
        Case(
            "a job without project and place",
            "run pytorch-language-modeling-bert-base --runner dataflow",
            USAGE,
            ("needs --project, --temp_location (or GOOGLE_CLOUD_PROJECT)", "cluster.project"),
        ),
        Case(
            "a place that is no bucket",
            f"run pytorch-language-modeling-bert-base --runner dataflow {PROJECT} "
            "--temp_location=/tmp",
            USAGE,
            ("--temp_location '/tmp'", "gs://BUCKET/FOLDER"),
        ),
        Case(
            "a benchmark without a cluster",
            f"run overhead-noop --runner dataflow {JOB}",
            USAGE,
            ("overhead-noop has no cluster", "set cluster.machine_type"),
        ),
        Case(
            "images that workers cannot read",
            f"run pytorch-image-classification-resnet101 --runner dataflow {JOB}",
            USAGE,
            ("input packaged", "workers cannot read images of this machine", "--input"),
        ),
        Case(
            "weights that workers cannot read",
            "run vllm-gemma-2b-batch --runner dataflow --profile smoke --set interpreter=null "
            f"{JOB}",
            USAGE,
            ("model.weights random", "folder from a bucket", "pretrained"),
        ),
        Case(
            "spot workers with a GPU",
            "run pytorch-image-classification-resnet152-t4 --runner dataflow --input "
            f"gs://my-bucket/list.txt --set cluster.spot=true {JOB}",
            USAGE,
            ("cluster.spot", "FlexRS does not go with an accelerator"),
        ),
        Case(
            "a GPU benchmark on a cluster without one",
            "run pytorch-language-modeling-bert-base --runner dataflow --set model.device=gpu "
            f"{JOB}",
            USAGE,
            ("model.device gpu", "the cluster has no accelerator"),
        ),
        Case(
            "processes that Dataflow does not start",
            "run pytorch-language-modeling-bert-base --runner dataflow --set cluster.processes=2 "
            f"{JOB}",
            USAGE,
            ("cluster.processes 2", "null", "(1)"),
        ),
        Case(
            "a reference on another machine than the job",
            "run pytorch-language-modeling-bert-base --runner dataflow --reference loop " + JOB,
            USAGE,
            ("--reference loop", "--runner direct"),
        ),
        Case(
            "a name for a job",
            f"run pytorch-language-modeling-bert-base --runner dataflow {JOB} --job_name=mine",
            USAGE,
            ("--job_name after --", "beambench names its jobs"),
        ),
        Case(
            "a template of a job that is to run",
            f"run pytorch-language-modeling-bert-base --runner dataflow {JOB} "
            "--template_location=t.json",
            USAGE,
            ("--template_location after --", "--dry-run"),
        ),
        Case(
            "an image among other files",
            "options overhead-noop --dockerfile .",
            USAGE,
            ("is not empty and holds no Dockerfile", "name a new folder"),
            files={"notes.txt": "mine"},
        ),
    ],
    "Environment and project file": [
        Case(
            "a variable that there is not",
            "list",
            USAGE,
            ("BEAMBENCH_REPEAT ", "did you mean 'BEAMBENCH_REPEATS'?"),
            environment={"BEAMBENCH_REPEAT": "3"},
        ),
        Case(
            "a variable with a wrong value",
            "run overhead-noop",
            USAGE,
            ("BEAMBENCH_REPEATS=0", "1"),
            environment={"BEAMBENCH_REPEATS": "0"},
        ),
        Case(
            "an unknown key in the project file",
            "list",
            USAGE,
            ("beambench.yaml", "reapeats", "did you mean 'repeats'?"),
            files={"beambench.yaml": "reapeats: 3\n"},
        ),
        Case(
            "a wrong value in the project file",
            "run overhead-noop",
            USAGE,
            ("beambench.yaml: repeats: 0", "1"),
            files={"beambench.yaml": "repeats: 0\n"},
        ),
    ],
    "Definitions": [
        Case(
            "a misspelt key",
            "run mine.yaml",
            USAGE,
            ("mine.yaml", "batchin", "did you mean 'batching'?"),
            files=defined(added="batchin: {max_batch_size: 3}\n"),
        ),
        Case(
            "a misspelt key in a section",
            "run mine.yaml",
            USAGE,
            ("mine.yaml", "model.wieghts", "did you mean 'weights'?"),
            files=defined("weights: none", "wieghts: none"),
        ),
        Case(
            "a key that stands twice",
            "run mine.yaml",
            USAGE,
            ("mine.yaml, line 8", "'title'", "twice", "remove"),
            files=defined(added="title: Other\n"),
        ),
        Case(
            "a value of the wrong type",
            "run mine.yaml",
            USAGE,
            ("mine.yaml", "profiles.local.limit", "integer", "'many'"),
            files=defined("limit: 5", "limit: many"),
        ),
        Case(
            "no name",
            "run mine.yaml",
            USAGE,
            ("mine.yaml", "`name` is missing"),
            files=defined("name: mine\n", ""),
        ),
        Case(
            "a name that is taken",
            "run mine.yaml",
            USAGE,
            ("mine.yaml", "'overhead-noop' is taken", "choose another"),
            files=defined("name: mine", "name: overhead-noop"),
        ),
        Case(
            "a parent that there is not",
            "run mine.yaml",
            USAGE,
            ("mine.yaml", "'_resnett'", "did you mean '_resnet'?"),
            files=defined(added="inherit: _resnett\n"),
        ),
        Case(
            "a circle of parents",
            "run mine.yaml",
            USAGE,
            ("mine.yaml", "inherit", "circle at mine.yaml"),
            files=defined(added="inherit: other\n") | {"other.yaml": "inherit: mine\n"},
        ),
        Case("a file that is missing", "run mine.yaml", USAGE, ("mine.yaml", "No such file")),
        Case(
            "an empty file",
            "run mine.yaml",
            USAGE,
            ("mine.yaml", "an empty file"),
            {"mine.yaml": ""},
        ),
        Case(
            "a list",
            "run mine.yaml",
            USAGE,
            ("mine.yaml", "key: value", "found a list"),
            {"mine.yaml": "- name: mine\n"},
        ),
        Case(
            "what is no YAML",
            "run mine.yaml",
            USAGE,
            ("mine.yaml, line 2", "expected"),
            {"mine.yaml": "name: mine\ntitle: [Mine\n"},
        ),
        Case(
            "what is no UTF-8",
            "run mine.yaml",
            USAGE,
            ("mine.yaml: line 1", "not UTF-8", "byte 0xd6 at column 8"),
            {"mine.yaml": "title: Ölflecken\n".encode("latin-1")},
        ),
        Case(
            "a tag that would build an object",
            "run mine.yaml",
            USAGE,
            ("mine.yaml", "tags (!!python/name:os.system)", "remove it"),
            files=defined("title: Mine", "title: !!python/name:os.system"),
        ),
        Case(
            "a folder in place of a file",
            "run definitions/",
            USAGE,
            ("definitions", "is a folder", "--definitions"),
            files={"definitions": None},
        ),
        Case(
            "a folder without definitions",
            "validate definitions",
            USAGE,
            ("definitions", "no definition in this folder", ".yaml"),
            files={"definitions": None},
        ),
        Case(
            "a place that is not there",
            "list --definitions definitions",
            USAGE,
            ("definitions", "no such definition file or folder"),
        ),
    ],
    "Overrides": [
        Case(
            "no equals sign",
            "run overhead-noop --set threads",
            USAGE,
            ("'threads'", "key.subkey=value"),
        ),
        Case(
            "processes twice",
            "run overhead-noop --set runner.processes=2 -- --direct_num_workers=2",
            USAGE,
            ("runner.processes 2", "--direct_num_workers=2", "one of the two"),
        ),
        Case(
            "an unknown path",
            "run overhead-noop --set batching.max_batch_siz=3",
            USAGE,
            ("batching.max_batch_siz=3", "did you mean 'max_batch_size'?"),
        ),
        Case(
            "an unknown profile",
            "run overhead-noop --set profiles.smok.limit=3",
            USAGE,
            ("'smok'", "did you mean 'smoke'?"),
        ),
        Case(
            "a value of the wrong type",
            "run overhead-noop --set batching.max_batch_size=many",
            USAGE,
            ("batching.max_batch_size=many", "integer"),
        ),
        Case(
            "limits that contradict each other",
            "run overhead-noop --set batching.min_batch_size=101",
            USAGE,
            ("min_batch_size 101", "max_batch_size 100"),
        ),
        Case(
            "an interpreter that is not there",
            "run overhead-noop --set interpreter=.venv-other/bin/python",
            FAILED,
            (".venv-other/bin/python", "make setup-vllm"),
        ),
        Case(
            "a model folder that is none",
            "run vllm-gemma-2b-batch --set model.weights=file --set model.path=mine",
            USAGE,
            ("model.path mine", "no such folder"),
            {"mine": ""},
        ),
        Case(
            "a model that nobody has published",
            "run vllm-gemma-2b-batch --set model.name=gemma-tiny --set model.weights=pretrained",
            USAGE,
            ("gemma-tiny", "use random"),
        ),
        Case(
            "a server that would run a model's own code",
            "run vllm-gemma-2b-batch --set parameters.server.trust-remote-code=true",
            USAGE,
            ("'trust-remote-code' could run code", "remove it"),
        ),
        Case(
            "a variable that is not the server's",
            "run vllm-gemma-2b-batch --set parameters.environment.PYTHONPATH=/tmp",
            USAGE,
            ("'PYTHONPATH'", "begin with VLLM_", "in your shell"),
        ),
        Case(
            "a parameter that the workload does not have",
            "run IMAGES --set parameters.resise=64",
            USAGE,
            ("parameters", "resise", "did you mean 'resize'?"),
        ),
        Case(
            "a model that the workload does not have",
            "run IMAGES --set model.name=resnet102",
            USAGE,
            ("model.name 'resnet102'", "known are"),
        ),
        Case(
            "images decoded in a batch that nothing else is done in",
            "run IMAGES --set parameters.decode_in_batch=true",
            USAGE,
            ("decode_in_batch needs batched: true",),
        ),
        Case(
            "a language model that there is not",
            "run SENTENCES --set model.name=bert-base-unased",
            USAGE,
            ("model.name 'bert-base-unased'", "did you mean 'bert-base-uncased'?"),
        ),
        Case(
            "a model of sentences without weights",
            "run SENTENCES --set model.weights=none",
            USAGE,
            ("model.weights none", "needs weights"),
        ),
        Case(
            "a precision that the handler does not know",
            "run overhead-noop --set model.precision=bfloat16",
            USAGE,
            ("model.precision bfloat16", "overhead", "float32"),
        ),
        Case(
            "batches by length of what has none",
            "run overhead-noop --set batching.max_batch_duration_secs=1 "
            "--set batching.bucket_boundaries=[8]",
            USAGE,
            ("batching.bucket_boundaries", "no length"),
        ),
        Case(
            "batches larger than the model is compiled for",
            "run IMAGES --variant tuned-compiled --set batching.max_batch_size=32",
            USAGE,
            ("compiled_batch_size 16", "batching.max_batch_size"),
        ),
        Case(
            "text drawn at random",
            "run vllm-gemma-2b-batch --set parameters.temperature=1",
            USAGE,
            ("parameters.temperature", "use 0"),
        ),
        Case(
            "class labels of sentences",
            "run SENTENCES --labels labels.csv",
            USAGE,
            ("labels.csv", "no class indices"),
            files={"labels.csv": "1,1\n"},
        ),
        Case(
            "sorted batches of sentences that are not padded",
            "run SENTENCES --set parameters.sorted_batch_size=8",
            USAGE,
            ("sorted_batch_size goes with padding: longest",),
        ),
        Case(
            "sorted batches of nothing",
            "run SENTENCES --variant tuned --set parameters.sorted_batch_size=0",
            USAGE,
            ("sorted_batch_size", "greater than 0", "not 0"),
        ),
        Case(
            "batches of sentences that are not padded",
            "run SENTENCES --set batching.max_batch_size=8",
            USAGE,
            ("padding none", "max_batch_size to 1", "padding to longest"),
        ),
        Case(
            "the mask alone of sentences that are not padded",
            "run SENTENCES --set parameters.mask_only=true",
            USAGE,
            ("mask_only goes with padding: longest",),
        ),
        Case(
            "batches by length that nothing holds back",
            "run SENTENCES --set batching.bucket_boundaries=[8,16]",
            USAGE,
            ("bucket_boundaries needs max_batch_duration_secs",),
        ),
        Case(
            "lengths that fall",
            "run SENTENCES --variant tuned-buckets --set batching.bucket_boundaries=[16,8]",
            USAGE,
            ("bucket_boundaries must rise",),
        ),
        Case(
            "a loop after batches by length",
            "run SENTENCES --variant tuned-buckets --reference loop",
            USAGE,
            ("--reference loop", "batching by length", "without batching.bucket_boundaries"),
        ),
        Case(
            "sentences from a file of empty lines",
            "run SENTENCES --input empty.txt",
            USAGE,
            ("empty.txt", "has no line that is not empty"),
            files={"empty.txt": "\n  \n"},
        ),
        Case(
            "sentences in UTF-16 without a byte-order mark",
            "run SENTENCES --input lines.txt",
            USAGE,
            ("lines.txt: seems to be UTF-16LE", "iconv -f UTF-16LE -t UTF-8 lines.txt"),
            files={"lines.txt": "Grüße aus Köln\r\nund Düren\r\n".encode("utf-16-le")},
        ),
        Case(
            "sentences of which the last byte of UTF-16 is missing",
            "run SENTENCES --input lines.txt",
            USAGE,
            ("lines.txt: line 2 is not UTF-16LE text", "byte 0x74 at offset 10", "save"),
            files={"lines.txt": "\ufeffone\nt".encode("utf-16-le")[:-1]},
        ),
        Case(
            "sentences of which none is UTF-8",
            "run SENTENCES --input lines.txt",
            USAGE,
            ("lines.txt: line 1 is not UTF-8 text (byte 0xdc at column 1)", "all others", "iconv"),
            files={"lines.txt": "Übel\nBöse\n".encode("latin-1")},
        ),
        Case(
            "compressed sentences that were copied in part",
            "run SENTENCES --input lines.txt.gz",
            USAGE,
            ("lines.txt.gz", "gzip data ends in the middle", "copy the file again"),
            files={"lines.txt.gz": gzip.compress(b"one two three\n" * 9)[:-9]},
        ),
        Case(
            "text that is named as if it were compressed",
            "run SENTENCES --input lines.txt.gz",
            USAGE,
            ("lines.txt.gz", "is not gzip data, as its name says"),
            files={"lines.txt.gz": "one two three\n"},
        ),
        Case(
            "compressed sentences whose name does not say so",
            "run SENTENCES --input lines.txt",
            USAGE,
            ("lines.txt", "is gzip data without a name that ends in .gz"),
            files={"lines.txt": gzip.compress(b"one two three\n" * 9)},
        ),
        Case(
            "a file of weights, and no path",
            "run IMAGES --set model.weights=file",
            USAGE,
            ("`path` is needed",),
        ),
        Case(
            "another name",
            "run overhead-noop --set name=mine",
            USAGE,
            ("name=mine", "definition of its own"),
        ),
    ],
    "A workload of your own": [
        Case(
            "a workload that there is not",
            "run overhead-noop --set workload=overheat",
            USAGE,
            ("'overheat'", "did you mean 'overhead'?", "module:Class"),
        ),
        Case(
            "a module that there is not",
            "run mine.yaml",
            USAGE,
            ("no module 'my_absent_module'", "PYTHONPATH"),
            files=defined("workload: overhead", "workload: my_absent_module:Mine"),
        ),
        Case(
            "a class that there is not",
            "run mine.yaml",
            USAGE,
            ("my_module_without_class has no 'Mine'",),
            files=defined("workload: overhead", "workload: my_module_without_class:Mine")
            | {"my_module_without_class.py": "OTHER = 1\n"},
        ),
        Case(
            "a class that is no workload",
            "run mine.yaml",
            USAGE,
            ("'my_module_of_no_workload:Mine'", "not a subclass", "Workload"),
            files=defined("workload: overhead", "workload: my_module_of_no_workload:Mine")
            | {"my_module_of_no_workload.py": "class Mine: ...\n"},
        ),
        Case(
            "a module that cannot be imported",
            "run mine.yaml",
            USAGE,
            ("my_broken_module", "SyntaxError"),
            files=defined("workload: overhead", "workload: my_broken_module:Mine")
            | {"my_broken_module.py": "def broken(:\n"},
        ),
        Case(
            "a class without a model handler",
            "run mine.yaml --dry-run",
            USAGE,
            ("my_unfinished_module:Mine", "model_handler"),
            files=defined("workload: overhead", "workload: my_unfinished_module:Mine")
            | {
                "my_unfinished_module.py": "from beambench import Workload\n\n\n"
                "class Mine(Workload):\n    input_types = ('numbers',)\n"
            },
        ),
    ],
    "The store": [
        Case(
            "a path below a file",
            "run overhead-noop --store sqlite:///taken/runs.db",
            FAILED,
            ("sqlite:///taken/runs.db", "--store"),
            files={"taken": TEXT},
        ),
        Case(
            "what is no database",
            "run overhead-noop --store sqlite:///runs.db",
            FAILED,
            ("sqlite:///runs.db", "is not a SQLite database", "--store"),
            files={"runs.db": TEXT * 100},
        ),
        Case(
            "a database of a newer beambench",
            "run overhead-noop --store sqlite:///runs.db",
            FAILED,
            ("sqlite:///runs.db", "schema 99 is newer", "upgrade beambench"),
            files={"runs.db": NEWER},
        ),
        Case(
            "a folder",
            "run overhead-noop --store sqlite:///runs.db",
            FAILED,
            ("sqlite:///runs.db", "is a folder", "name a file"),
            files={"runs.db": None},
        ),
        Case(
            "what is no store address",
            "run overhead-noop --store runs.db",
            USAGE,
            ("runs.db", "not a store URL", "sqlite:///relative.db"),
        ),
        Case(
            "a kind of store that there is not",
            "run overhead-noop --store mysql://localhost/runs",
            USAGE,
            ("'mysql'", "sqlite:///relative.db"),
        ),
        Case(
            "a full disk",
            "run overhead-noop --store sqlite:///runs.db",
            FAILED,
            ("sqlite:///runs.db", "disk", "--store"),
            file_size=40_000,
        ),
    ],
    "Cost": [
        Case(
            "a benchmark that never ran",
            f"cost SENTENCES {IN_STORE}",
            FAILED,
            (
                "pytorch-language-modeling-bert-base: no succeeded run of variant stock",
                "beambench run",
            ),
        ),
        Case(
            "a run that there is not",
            f"cost 20260131T2359 {IN_STORE}",
            USAGE,
            ("'20260131T2359'", "beambench history"),
        ),
        Case(
            "a run that failed",
            f"cost 20260131T1002 {IN_STORE}",
            FAILED,
            ("failed, so it measured no throughput",),
            files=STORED,
        ),
        Case(
            "a run without a throughput",
            f"cost 20260131T1003 {IN_STORE}",
            FAILED,
            ("it has no throughput_elements",),
            files=STORED,
        ),
        Case(
            "a speed in bfloat16 on machines without it",
            f"cost 20260131T1004 {IN_STORE}",
            USAGE,
            ("bfloat16 rests on avx512_bf16", "n1-standard-2", "--variant stock"),
            files=STORED,
        ),
        Case(
            "more than the memory of a machine",
            f"cost 20260131T1005 {IN_STORE}",
            USAGE,
            ("need 12.0 GB", "has 7.5 GB", "--processes 1 fits"),
            files=STORED,
        ),
        Case(
            "more threads than a machine has vCPUs",
            f"cost 20260131T1006 {IN_STORE}",
            USAGE,
            ("2 threads in a process", "--set threads=1"),
            files=STORED,
        ),
        Case(
            "a pipeline that exists already",
            f"cost 20260131T1007 {IN_STORE}",
            USAGE,
            ("no cluster", "prices benchmarks"),
            files=STORED,
        ),
        Case(
            "a run that is rows of Beam",
            f"cost 20260131T1017 {IN_STORE}",
            USAGE,
            ("imported from Beam's rows",),
            files=STORED,
        ),
        Case(
            "a run on a runner that does not say what worked at once",
            f"cost 20260131T1013 {IN_STORE}",
            USAGE,
            ("ran on flink", "--runner direct"),
            files=STORED,
        ),
        Case(
            "a run that wrote its predictions",
            f"cost 20260131T1014 {IN_STORE}",
            USAGE,
            ("measure without --output",),
            files=STORED,
        ),
        Case(
            "compiled kernels on machines that nothing is compiled for",
            f"cost 20260131T1015 {IN_STORE}",
            USAGE,
            ("compiled kernels rests on avx2", "n1-standard-2"),
            files=STORED,
        ),
        Case(
            "a model that is served elsewhere",
            f"cost 20260131T1016 --region us-central1 {IN_STORE}",
            USAGE,
            ("served elsewhere",),
            files=STORED,
        ),
        Case(
            "a streaming job from a run on this machine",
            f"cost 20260131T1008 {IN_STORE}",
            USAGE,
            ("streaming job costs its hours",),
            files=STORED,
        ),
        Case(
            "a benchmark without a cluster",
            f"cost 20260131T1009 --region us-central1 {IN_STORE}",
            USAGE,
            ("overhead-noop: its definition names no cluster", "--machine-type", "--workers"),
            files=STORED,
        ),
        Case(
            "other machines for a job that ran",
            f"cost 20260131T1010 --workers 10 {IN_STORE}",
            USAGE,
            ("--workers goes with projections", "ran on Dataflow"),
            files=STORED,
        ),
        Case(
            "a GPU that has no price",
            f"cost 20260131T1010 --gpu nvidia-l5 {IN_STORE}",
            USAGE,
            ("--gpu nvidia-l5", "did you mean 'nvidia-l4'?"),
            files=STORED,
        ),
        Case(
            "a job that the service told nothing of",
            f"cost 20260131T1011 {IN_STORE}",
            FAILED,
            ("told nothing of what it used",),
            files=STORED,
        ),
        Case(
            "a cluster with a GPU from a run on a CPU",
            f"cost 20260131T1012 {IN_STORE}",
            USAGE,
            ("nvidia-tesla-t4", "needs a measurement on that GPU"),
            files=STORED,
        ),
        Case(
            "a machine with a GPU from a run on a CPU",
            f"cost 20260131T1001 --machine-type g2-standard-4 {IN_STORE}",
            USAGE,
            ("g2-standard-4 has a GPU", "--gpu none"),
            files=STORED,
        ),
        Case(
            "a machine type that there is not",
            f"cost 20260131T1001 --machine-type n1-standart-2 {IN_STORE}",
            USAGE,
            ("'n1-standart-2'", "did you mean 'n1-standard-2'?", "--sheet"),
            files=STORED,
        ),
        Case(
            "processes that Dataflow does not start",
            f"cost 20260131T1001 --machine-type n1-standard-8 --processes 3 {IN_STORE}",
            USAGE,
            ("--processes 3", "8 of n1-standard-8"),
            files=STORED,
        ),
        Case(
            "a region without a price sheet",
            f"cost 20260131T1001 --region europe-west1 {IN_STORE}",
            USAGE,
            ("'europe-west1'", "us-central1", "--sheet"),
            files=STORED,
        ),
        Case(
            "a factor that is none",
            f"cost 20260131T1001 --scale 1:0.5 {IN_STORE}",
            USAGE,
            ("--scale 1:0.5", "low:expected:high"),
            files=STORED,
        ),
        Case(
            "a misspelt key in a price sheet",
            f"cost 20260131T1001 --sheet prices.yaml {IN_STORE}",
            USAGE,
            ("prices.yaml", "machines.box.per_hous", "did you mean 'per_hour'?"),
            files=STORED | {"prices.yaml": PRICES},
        ),
        Case(
            "a price sheet of another region",
            f"cost 20260131T1001 --region here --sheet prices.yaml {IN_STORE}",
            USAGE,
            ("--region here", "prices.yaml is of region there"),
            files=STORED | {"prices.yaml": PRICES.replace("per_hous", "per_hour")},
        ),
        Case(
            "a machine that the price sheet does not have",
            f"cost 20260131T1001 --sheet prices.yaml {IN_STORE}",
            USAGE,
            ("sheet mine has no price for machine type 'n1-standard-2'", "box"),
            files=STORED | {"prices.yaml": PRICES.replace("per_hous", "per_hour")},
        ),
    ],
    "Publishing, export and import": [
        Case(
            "nothing said to publish",
            "publish",
            USAGE,
            ("give one of RUN, --pending, --since, --status and --changes",),
        ),
        Case(
            "a publisher that there is not",
            "publish --pending --publish influx",
            USAGE,
            ("no publisher 'influx'", "did you mean 'influxdb'?"),
        ),
        Case(
            "an address without http://",
            "run overhead-noop --publish influxdb",
            USAGE,
            ("INFLUXDB_URL '127.0.0.1:8086'", "has no http://", "http://127.0.0.1:8086"),
            environment={"INFLUXDB_URL": "127.0.0.1:8086", "INFLUXDB_DATABASE": "d"},
        ),
        Case(
            "an address with parameters",
            "run overhead-noop --publish influxdb",
            USAGE,
            ("INFLUXDB_URL 'http://h:8086?bucket=b'", "holds bucket", "INFLUXDB_BUCKET"),
            environment={"INFLUXDB_URL": "http://h:8086?bucket=b", "INFLUXDB_DATABASE": "d"},
        ),
        Case(
            "a port that is none",
            "run overhead-noop --publish influxdb",
            USAGE,
            ("INFLUXDB_URL 'http://h:99999'", "99999 is no port"),
            environment={"INFLUXDB_URL": "http://h:99999", "INFLUXDB_DATABASE": "d"},
        ),
        Case(
            "an address without a host",
            "run overhead-noop --publish influxdb",
            USAGE,
            ("INFLUXDB_URL 'http://'", "names no host"),
            environment={"INFLUXDB_URL": "http://", "INFLUXDB_DATABASE": "d"},
        ),
        Case(
            "a key file that is not there",
            "run overhead-noop --publish bigquery",
            USAGE,
            ("GOOGLE_APPLICATION_CREDENTIALS", "/none.json", "No such file"),
            environment={
                "GOOGLE_APPLICATION_CREDENTIALS": "{here}/none.json",
                "BIGQUERY_EMULATOR_HOST": "",
            },
        ),
        Case(
            "two formats",
            "export 20260131T100100Z-00000001 --json --format csv",
            USAGE,
            ("--json", "--format csv", "give one"),
        ),
        Case(
            "a time that is none",
            "publish --since yesterday",
            USAGE,
            ("'yesterday'", "2026-01-31"),
        ),
        Case(
            "nothing said to export",
            "export",
            USAGE,
            ("give one of RUN, --benchmark and --since",),
        ),
        Case(
            "an export into a folder",
            "export --since 2026-01-31 --output /",
            USAGE,
            ("--output /", "is not a file"),
        ),
        Case(
            "an export into a folder that there is not",
            "export --since 2026-01-31 --output reports/runs.json",
            FAILED,
            ("--output reports/runs.json", "No such file or directory"),
        ),
        Case(
            "nothing said to import",
            "import",
            USAGE,
            ("give FILE or --from bigquery or --from influxdb",),
        ),
        Case(
            "an import of a folder",
            "import runs",
            USAGE,
            ("runs", "Is a directory"),
            files={"runs": None},
        ),
        Case(
            "an import of an empty file",
            "import runs.json",
            USAGE,
            ("runs.json", "holds neither records nor rows"),
            files={"runs.json": ""},
        ),
        Case(
            "an import of a photograph",
            "import photo.jpg",
            USAGE,
            ("photo.jpg", "is not UTF-8 text"),
            files={"photo.jpg": jpeg()},
        ),
        Case(
            "an import of a file that is still being written",
            "import runs.json",
            USAGE,
            ("runs.json:2", "not JSON"),
            files={"runs.json": '{"run_id": "20260131T100000Z-00000001"}\n{"run_id": "2026'},
        ),
        Case(
            "an import of JSON in too many brackets",
            "import runs.json",
            USAGE,
            ("runs.json", "nested too deeply"),
            files={"runs.json": "[" * 100_000},
        ),
        Case(
            "an import of JSON of something else",
            "import package.json",
            USAGE,
            ("package.json", "neither records of beambench"),
            files={"package.json": '{"name": "mine"}'},
        ),
        Case(
            "an import of a record without most of its keys",
            "import runs.json",
            USAGE,
            ("runs.json:1", "not a run record", "benchmark"),
            files={"runs.json": '[{"run_id": "20260131T100000Z-00000001"}]'},
        ),
        Case(
            "an import of a record of a newer beambench",
            "import runs.json",
            USAGE,
            ("runs.json:1", "record schema 99", "upgrade beambench"),
            files={"runs.json": '[{"run_id": "20260131T100000Z-00000001", "schema_version": 99}]'},
        ),
        Case(
            "an import of what was exported as CSV",
            "import runs.csv",
            USAGE,
            ("runs.csv", "--format json"),
            files={"runs.csv": "run_id,metric,value\n20260131T100000Z-00000001,run_time,1.5\n"},
        ),
        Case(
            "an import of CSV with an endless cell",
            "import rows.csv --benchmark overhead-noop",
            USAGE,
            ("rows.csv", "not CSV", "131072"),
            files={"rows.csv": "metric,test_id\n" + "m" * 200_000},
        ),
        Case(
            "an import of rows, and nobody said whose",
            "import rows.json",
            USAGE,
            ("rows.json", "--benchmark NAME"),
            files={"rows.json": '{"test_id": "t", "metric": "m", "value": 1}'},
        ),
        Case(
            "an import from a database, and nobody said whose",
            "import --from influxdb",
            USAGE,
            ("--from influxdb", "--benchmark NAME"),
        ),
        Case(
            "an import from a table without its dataset",
            "import --from bigquery --benchmark overhead-noop --table rows",
            USAGE,
            ("--table rows", "DATASET.TABLE"),
        ),
    ],
    "Alarms as issues": [
        Case(
            "a repository without its owner",
            "alarms --github bench",
            USAGE,
            ("--github 'bench'", "OWNER/REPO"),
        ),
        Case(
            "no token",
            "alarms --github acme/bench",
            USAGE,
            ("GITHUB_TOKEN is not set",),
            environment={"GITHUB_TOKEN": ""},
        ),
        Case(
            "a token with a space",
            "alarms --github acme/bench",
            USAGE,
            ("GITHUB_TOKEN", "a space or a line break"),
            environment={"GITHUB_TOKEN": "ghp_x "},
        ),
        Case(
            "a token over http",
            "alarms --github acme/bench --github-url http://git.example/api/v3",
            USAGE,
            ("--github-url 'http://git.example/api/v3'", "https"),
        ),
        Case(
            "a dry run of nothing",
            "alarms --dry-run",
            USAGE,
            ("--dry-run", "--github OWNER/REPO"),
        ),
    ],
    "Input and labels": [
        Case(
            "an input that there is not",
            "run IMAGES --input photos",
            USAGE,
            ("'photos'", "No such file", "a directory of images"),
        ),
        Case(
            "a misspelt kind of input",
            "run IMAGES --input packagd",
            USAGE,
            ("'packagd'", "did you mean 'packaged'?"),
        ),
        Case(
            "images for a workload that reads numbers",
            "run overhead-noop --input photos",
            USAGE,
            ("'photos'", "synthetic"),
            files={"photos": None},
        ),
        Case(
            "an empty list",
            "run IMAGES --input list.txt",
            USAGE,
            ("list.txt", "names no image", "one path on each line"),
            files={"list.txt": ""},
            real=True,
            here=True,
        ),
        Case(
            "a list of files that are not there",
            "run IMAGES --input list.txt",
            USAGE,
            ("list.txt", "2 of 2 files missing", "a.jpg"),
            files={"list.txt": "a.jpg\nb.jpg\n"},
            real=True,
            here=True,
        ),
        Case(
            "a photograph in place of a list",
            "run IMAGES --input photo.jpg",
            USAGE,
            ("photo.jpg", "not a text file", "a list of images"),
            files={"photo.jpg": jpeg()},
            real=True,
            here=True,
        ),
        Case(
            "a directory without images",
            "run IMAGES --input photos",
            USAGE,
            ("photos", "holds no image", ".jpg"),
            files={"photos": None, "photos/notes.txt": TEXT},
            real=True,
            here=True,
        ),
        Case(
            "a truncated JPEG and a text file named .jpg, of three files",
            f"run IMAGES --profile smoke --input photos {SMALL}",
            FAILED,
            ("2 of 3 elements failed", "max_failed 0.01", "cut.jpg: preprocess: "),
            files={
                "photos": None,
                "photos/cut.jpg": truncated_jpeg(),
                "photos/photo.jpg": jpeg(),
                "photos/text.jpg": TEXT,
            },
            status="failed",
            failed=("cut.jpg", "text.jpg"),
            real=True,
            here=True,
        ),
        Case(
            "a text file named .jpg, of 200 files",
            f"run IMAGES --profile smoke --input photos {SMALL}",
            0,
            (),
            files=TWO_HUNDRED,
            status="succeeded",
            failed=("100.jpg",),
            real=True,
        ),
        Case(
            "a label file that is missing",
            "run IMAGES --labels labels.csv",
            USAGE,
            ("labels.csv", "No such file", "file,class_index"),
        ),
        Case(
            "an empty label file",
            "run IMAGES --labels labels.csv",
            USAGE,
            ("labels.csv", "labels no file", "file,class_index"),
            files={"labels.csv": "file,class_index\n"},
        ),
        Case(
            "a class that is no number",
            "run IMAGES --labels labels.csv",
            USAGE,
            ("labels.csv: line 2", "'cat'", "integer"),
            files={"labels.csv": "file,class_index\na.jpg,cat\n"},
        ),
        Case(
            "an address of a store that is not read",
            "run IMAGES --input https://host/photos.txt?token=plans-for-tomorrow",
            USAGE,
            ("input source https://host…", "only gs:// addresses", "paths on this machine"),
        ),
        Case(
            "an address without a bucket",
            "run SENTENCES --input gs://",
            USAGE,
            ("input source 'gs://'", "gs://BUCKET/OBJECT"),
        ),
        Case(
            "a pattern of objects",
            "run IMAGES --input gs://bucket/*.jpg",
            USAGE,
            ("'gs://bucket/*.jpg'", "patterns are not taken", "name a folder"),
        ),
        Case(
            "a list with a line that is not read",
            "run IMAGES --input list.txt",
            USAGE,
            ("list.txt: line 2", "s3://photos…", "only gs:// addresses"),
            files={"list.txt": "gs://bucket/a.jpg\ns3://photos/b.jpg\n"},
        ),
        Case(
            "labels of a store that is not read",
            "run IMAGES --labels s3://bucket/labels.csv",
            USAGE,
            ("labels s3://bucket…", "only gs:// addresses"),
        ),
        Case(
            "a bucket without a network",
            "run IMAGES --input gs://bucket/list.txt",
            FAILED,
            ("gs://bucket", "does not answer", "check the network"),
            environment={"STORAGE_EMULATOR_HOST": "http://127.0.0.1:9", **NO_CREDENTIALS},
            status="failed",
            real=True,
        ),
        Case(
            "a class that the model does not have",
            "run IMAGES --input photos --labels labels.csv",
            USAGE,
            ("labels.csv: line 2", "'b.jpg'", "class 99999", "the classes 0 to 999"),
            files={"photos": None, "photos/a.jpg": jpeg(), "labels.csv": "a.jpg,3\nb.jpg,99999\n"},
            real=True,
            here=True,
        ),
        Case(
            "a label that fits files of two class folders",
            "run IMAGES --input photos --labels labels.csv",
            USAGE,
            ("labels.csv: line 1", "'1.jpg' fits 2", "'cat/1.jpg'", "'dog/1.jpg'", "write their"),
            files={
                "photos": None,
                "photos/cat": None,
                "photos/dog": None,
                "photos/cat/1.jpg": jpeg(),
                "photos/dog/1.jpg": jpeg(),
                "labels.csv": "1.jpg,3\n",
            },
            real=True,
            here=True,
        ),
        Case(
            "class folders of an input without any",
            "run IMAGES --labels folders",
            USAGE,
            ("labels folders", "'packaged'", "no directory with class folders"),
        ),
        Case(
            "a picture beside the class folders",
            "run IMAGES --input photos --labels folders",
            USAGE,
            ("labels folders: photos", "'1.jpg' lies in no class folder", "give a label file"),
            files={
                "photos": None,
                "photos/n01440764": None,
                "photos/n01440764/1.jpg": jpeg(),
                "photos/1.jpg": jpeg(),
            },
        ),
        Case(
            "a class folder that a pretrained model does not know",
            "run IMAGES --input photos --labels folders",
            USAGE,
            ("labels folders: photos", "'cat' is no class of", "n01440764", "class index"),
            files={"photos": None, "photos/cat": None, "photos/cat/1.jpg": jpeg()},
        ),
        Case(
            "labels of other files",
            "run IMAGES --input photos --labels labels.csv",
            USAGE,
            ("labels.csv", "none of the elements", "file name"),
            files={"photos": None, "photos/a.jpg": jpeg(), "labels.csv": "b.jpg,3\n"},
            real=True,
            here=True,
        ),
    ],
    "Model and device": [
        Case(
            "a GPU that is not there",
            "run pytorch-image-classification-resnet152-t4",
            FAILED,
            ("pytorch-image-classification-resnet152-t4 needs a GPU",),
        ),
        Case(
            "a file of weights that is missing",
            "run IMAGES --set model.weights=file --set model.path=mine.pth",
            USAGE,
            ("model.path", "mine.pth", "no such file"),
            real=True,
            here=True,
        ),
        Case(
            "a regression in ONNX, where classes are wanted",
            "run onnx-digits --set model.weights=file --set model.path=mine.onnx "
            "--set parameters.columns=2",
            USAGE,
            ("model.path", "mine.onnx", "no output holds a class", "'y': tensor(float)", "(?, 1)"),
            {"mine.onnx": REGRESSION},
            real=True,
            here=True,
        ),
        Case(
            "a model that is no ONNX",
            "run onnx-digits --set model.weights=file --set model.path=mine.onnx",
            USAGE,
            ("model.path", "mine.onnx", "ONNX Runtime cannot load it", "Protobuf parsing failed"),
            {"mine.onnx": "version https://git-lfs.github.com/spec/v1"},
            real=True,
            here=True,
        ),
        Case(
            "an output that the model does not have",
            "run onnx-digits --set model.weights=file --set model.path=mine.onnx "
            "--set parameters.output=label --set parameters.columns=2",
            USAGE,
            ("parameters.output 'label'", "no such output", "'y': tensor(float)"),
            {"mine.onnx": REGRESSION},
            real=True,
            here=True,
        ),
        Case(
            "a model of another size than the definition states",
            f"run IMAGES --profile smoke --limit 3 --set model.size_mib=99 {SMALL}",
            FAILED,
            ("model.size_mib says 99 MiB", "has 18.0 MiB"),
            status="failed",
            real=True,
            here=True,
        ),
        Case(
            "weights of a store that is not read",
            "run IMAGES --set model.weights=file --set model.path=https://host/m.pth?token=plans",
            USAGE,
            ("model.path https://host…", "only gs:// addresses"),
        ),
        Case(
            "a folder of weights in a store",
            "run vllm-gemma-2b-batch --set model.weights=file --set model.path=gs://bucket/gemma",
            USAGE,
            ("model.path gs://bucket/gemma", "folder of this machine"),
        ),
        Case(
            "weights to download, and no network",
            "run pytorch-image-classification-resnet101 --profile smoke "
            "--set model.weights=pretrained",
            FAILED,
            ("resnet101", "cannot be downloaded", "Connection refused", "--set model.weights=file"),
            environment=OFFLINE,
            status="failed",
            real=True,
        ),
    ],
    "Predictions": [
        Case(
            "a format that is not written",
            "run overhead-noop --output labels.csv",
            USAGE,
            ("output 'labels.csv'", "PATH.jsonl", "PATH.parquet", "bq:PROJECT.DATASET.TABLE"),
        ),
        Case(
            "predictions where a file is",
            "run overhead-noop --output labels.jsonl",
            USAGE,
            ("output labels.jsonl", "is there already", "--overwrite"),
            files={"labels.jsonl": ""},
        ),
        Case(
            "predictions in place of what they are made of",
            "run pytorch-language-modeling-bert-base --input ./lines.txt "
            "--output lines.txt --overwrite",
            USAGE,
            ("output lines.txt", "the run reads it", "name another place"),
            files={"lines.txt": "one\ntwo\n"},
        ),
        Case(
            "predictions in a folder that is not there",
            "run overhead-noop --output results/labels.jsonl",
            USAGE,
            ("output results/labels.jsonl", "no folder results", "make it first"),
        ),
        Case(
            "predictions in a store that is not written",
            "run overhead-noop --output s3://bucket/labels.jsonl",
            USAGE,
            ("output s3://bucket…", "only gs:// addresses"),
        ),
        Case(
            "half the name of a table",
            "run overhead-noop --output bq:dataset.table",
            USAGE,
            ("'bq:dataset.table'", "bq:PROJECT.DATASET.TABLE"),
        ),
        Case(
            "a table, and nowhere for the files that it is loaded from",
            "run overhead-noop --output bq:project.dataset.table",
            USAGE,
            ("output bq:project.dataset.table", "-- --temp_location=gs://BUCKET/FOLDER"),
        ),
        Case(
            "predictions of two benchmarks in one file",
            "run overhead-noop sklearn-digits --output labels.jsonl",
            USAGE,
            ("--output goes with one benchmark",),
        ),
        Case(
            "predictions beside a loop, which writes none",
            "run overhead-noop --output labels.jsonl --reference loop",
            USAGE,
            ("--reference loop", "does not write", "leave out --output"),
        ),
        Case(
            "replacing nothing",
            "run overhead-noop --overwrite",
            USAGE,
            ("--overwrite goes with --output",),
        ),
    ],
    "The run": [
        Case(
            "more time needed than given",
            "run overhead-noop --timeout 0.5",
            TIMED_OUT,
            ("overhead-noop: timed out", "prepare"),
            status="timed_out",
            real=True,
        ),
        Case(
            "Ctrl-C",
            "run overhead-noop",
            INTERRUPTED,
            ("overhead-noop: cancelled", "prepare"),
            status="cancelled",
            interrupted=True,
            real=True,
        ),
    ],
}
CASES = [case for cases in SECTIONS.values() for case in cases]


def identity(case: Case) -> str:
    """Return the name of a case, with its section, for it may stand in several."""
    section = next(name for name, cases in SECTIONS.items() if case in cases)
    return f"{section}: {case.mistake}"


def normalised(line: str, folder: Path) -> str:
    """Return what a user reads without what differs from machine to machine."""
    line = line.replace(f"{folder}/", "/here/")
    line = re.sub(r"\S*/site-packages/\S*/", "…/", line)
    line = re.sub(r"\S*/beambench/definition/catalog/", "…/", line)
    line = re.sub(r"(needs a GPU: ).*", r"\1…", line)
    return re.sub(r"0x[0-9a-f]{6,}", "0x…", line)


# --- the page -------------------------------------------------------------------------------------

HEAD = f"""# Errors

What beambench says to mistakes that were tried; each row is a test. Progress and errors go to
stderr, and an error is one line that begins with `beambench: ` (left out here). Once a run exists,
its record is stored, and printed, whatever its status. Exit codes: 0 fine, 2 bad usage, definition
or input, 3 the run failed or could not start, 124 timed out, 130 interrupted.

IMAGES stands for {IMAGES}, SENTENCES for {SENTENCES};
the files that are named lie in the current folder, /here.

Generated from `tests/cli/bad_input_cases.py` by
`{WRITE}=1 .venv/bin/pytest tests/cli/test_bad_input.py`; do not edit.
"""
COLUMNS = "| mistake | command | what one reads | exit code |\n| --- | --- | --- | --- |\n"


def code_span(text: str) -> str:
    """Return text as code in a cell of a Markdown table."""
    shown = text.encode("utf-8", "backslashreplace").decode().replace("|", "\\|")
    return f"`` {shown} ``" if "`" in shown else f"`{shown}`"


def page(lines: Mapping[str, str]) -> str:
    """Return the page, given what was read in each case, by identity."""
    text = HEAD
    for section, cases in SECTIONS.items():
        text += f"\n## {section}\n\n{COLUMNS}"
        for case in cases:
            text += row(case, lines.get(identity(case), ""))
    return text


def row(case: Case, line: str) -> str:
    given = "".join(f"{name}={value} " for name, value in case.environment.items())
    if case.environment is OFFLINE:
        given = ""
    command = code_span(f"{given}beambench {case.command}")
    return f"| {case.mistake} | {command} | {code_span(line)} | {case.code} |\n"


def recorded() -> dict[str, str]:
    """Return what stands on the page as read in each case, by identity."""
    return lines_of(PAGE.read_text("utf-8") if PAGE.is_file() else "")


def lines_of(text: str) -> dict[str, str]:
    """Return the lines that a page was made from, by identity."""
    lines: dict[str, str] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        cells = re.split(r" ?(?<!\\)\| ?", line)
        if len(cells) == 6 and cells[4].isdigit():
            shown = cells[3]
            double = shown.startswith("`` ")
            shown = shown[3:-3] if double else shown[1:-1]
            lines[f"{section}: {cells[1]}"] = shown.replace("\\|", "|")
    return lines
