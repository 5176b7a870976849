"""Option files: how a definition is printed, and what a file means for one."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_option_files import BEAM_FILES
from beambench.definition.library import Library, Resolved
from beambench.definition.options_file.flags import flags_of
from beambench.definition.options_file.names import DIRECT_FLAGS, LEFT_OUT
from beambench.definition.options_file.syntax import Flag, as_line, parse, read
from beambench.definition.options_file.translation import Translation, translate
from beambench.definition.runners import BUILT_IN, find_runner
from beambench.definition.schema import Definition
from beambench.errors import UsageError
from beambench.workloads.registry import load_class
from property_checks import CHECKED

LIBRARY = Library()
RESNET101 = "pytorch-image-classification-resnet101"
RESNET152_T4 = "pytorch-image-classification-resnet152-t4"
NOOP = "overhead-noop"
VARIANTS = [(name, variant) for name in LIBRARY.names() for variant in LIBRARY.variants(name)]
BEAMS = [name for name in BEAM_FILES if name in LIBRARY.names()]


def defined(name: str, **options: Any) -> Definition:
    return LIBRARY.resolve(name, **options).definition


def printed(definition: Definition, runner: str = "dataflow") -> str:
    flags = flags_of(definition, runner, load_class(definition.workload).model_flag)
    return "".join(f"{as_line(flag)}\n" for flag in flags)


def meant(text: str, name: str = RESNET101, **options: Any) -> Translation:
    return translate(parse(text, "f.txt"), defined(name), **options)


def applied(text: str, name: str, **options: Any) -> Resolved:
    """Return a benchmark as a file changes it."""
    own = translate(parse(text, "f.txt"), defined(name, **options))
    return LIBRARY.resolve(name, overrides=own.overrides, **options)


def refusal(text: str, name: str = RESNET101) -> str:
    with pytest.raises(UsageError) as caught:
        meant(text, name)
    return str(caught.value)


# --- a definition as flags ------------------------------------------------------------------------


def test_a_benchmark_for_dataflow():
    assert printed(defined(RESNET152_T4)).splitlines() == [
        "--runner=DataflowRunner",
        "--region=us-central1",
        "--machine_type=n1-standard-2",
        "--num_workers=75",
        "--disk_size_gb=50",
        "--disk_type=compute.googleapis.com/projects//zones//diskTypes/pd-standard",
        "--autoscaling_algorithm=NONE",
        "--dataflow_service_options=worker_accelerator=type:nvidia-tesla-t4;count:1;install-nvidia-driver",
        "--publish_to_big_query=true",
        "--metrics_dataset=beam_run_inference",
        "--metrics_table=torch_inference_imagenet_results_resnet152_tesla_t4",
        "--influx_measurement=torch_inference_imagenet_resnet152_tesla_t4",
        "--input_options={}",
        "--device=GPU",
        "--pretrained_model_name=resnet152",
    ]


def test_the_direct_runner_has_no_cluster():
    text = printed(defined(RESNET101), "direct")
    assert "--runner=DirectRunner\n" in text
    assert "--num_workers" not in text
    assert "--pretrained_model_name=resnet101\n" in text


def test_a_file_of_weights_and_an_input_of_ones_own():
    definition = defined(
        RESNET101,
        overrides=["model.weights=file", "model.path=my weights.pth", "input.source=list.txt"],
    )
    lines = printed(definition).splitlines()
    assert "--model_state_dict_path='my weights.pth'" in lines
    assert "--input_file=list.txt" in lines


def test_what_is_not_published_is_said_so():
    definition = defined(NOOP, overrides=["publish={}"])
    lines = printed(definition).splitlines()
    assert {"--publish_to_big_query=false", "--influx_measurement="} <= set(lines)


def test_a_line_break_cannot_stand_in_a_line():
    definition = defined(RESNET101, overrides=['cluster.machine_type="a\\nb"'])
    with pytest.raises(UsageError, match=r"resnet101: .* cannot stand in one line"):
        printed(definition, "dataflow")


@pytest.mark.parametrize("runner", BUILT_IN)
@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_a_printed_benchmark_read_again_changes_nothing(name, variant, runner):
    text = printed(defined(name, variant=variant), runner)
    own = translate(parse(text, "f.txt"), defined(name, variant=variant))
    assert (own.overrides, own.source, own.beam_flags) == ([], None, [])
    assert [line.split(": ", 1)[1].split()[0] for line in own.left_out] == [
        "--runner",
        "--input_options",
    ]


CLUSTERS = st.fixed_dictionaries(
    {
        "region": st.from_regex(r"[a-z]+-[a-z]+[0-9]", fullmatch=True),
        "machine_type": st.text(
            st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1
        ),
        "workers": st.integers(1, 5000),
        "autoscaling": st.sampled_from(["none", "throughput_based"]),
        "disk_gb": st.integers(1, 5000),
    },
    optional={
        "max_workers": st.integers(1, 5000),
        "accelerator": st.fixed_dictionaries(
            {
                "type": st.from_regex(r"[a-z0-9-]+", fullmatch=True),
                "count": st.integers(1, 8),
                "driver": st.sampled_from([True, False, "5xx"]),
            }
        ),
        "disk_type": st.sampled_from(["pd-standard", "pd-ssd"]),
        "spot": st.booleans(),
        "container_image": st.from_regex(r"[a-z0-9./:-]{1,40}", fullmatch=True),
    },
)
WORDS = st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True).filter(lambda w: w[0] != "-")
PUBLISHED = st.fixed_dictionaries(
    {},
    optional={
        "bigquery": st.fixed_dictionaries({"dataset": WORDS, "table": WORDS}),
        "influxdb": st.fixed_dictionaries({"measurement": WORDS}),
    },
)


@CHECKED
@given(CLUSTERS, PUBLISHED, st.sampled_from(["cpu", "gpu"]), st.sampled_from([RESNET101, NOOP]))
def test_any_cluster_and_target_come_back_from_a_printed_file(cluster, publish, device, name):
    content = defined(name).model_dump(mode="json")
    content |= {"cluster": cluster, "publish": publish}
    content["model"]["device"] = device
    wanted = Definition.model_validate(content)
    assert applied(printed(wanted), name).definition == wanted


@CHECKED
@given(
    st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True),
    st.text().filter(lambda t: not set(t) & set("\n\r\0")),
)
def test_any_flag_that_is_printed_is_read_as_it_was(name, value):
    line = as_line(f"--{name}={value}")
    assert parse(f"# {line}\n  {line} \n", "f.txt") == [Flag(name, value, "f.txt:2")]
    assert shlex.split(line) == [f"--{name}={value}"]


@CHECKED
@given(st.lists(st.sampled_from([*"-=ab1 \t'\"\\#{};,\n\0", "--", "--a"]), max_size=30))
def test_any_text_is_read_or_refused_in_one_line_with_its_place(parts):
    refused = None
    try:
        flags = parse("".join(parts), "f.txt")
    except UsageError as error:
        flags, refused = [], str(error)
    assert refused is None or re.fullmatch(r"f\.txt:[0-9]+: .+", refused)
    assert all(re.fullmatch(r"f\.txt:[0-9]+", flag.where) for flag in flags)


# --- how a file is written ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        ("--region=us-east1", [("region", "us-east1")]),
        ("--region us-east1  \t", [("region", "us-east1")]),
        ("--region='us east' --device CPU", [("region", "us east"), ("device", "CPU")]),
        ('--experiments="a=type:t;count:1"', [("experiments", "a=type:t;count:1")]),
        ("--input_options='{\"a\": 1}'", [("input_options", '{"a": 1}')]),
        ("--streaming --device=CPU", [("streaming", None), ("device", "CPU")]),
        ("--influx_measurement=", [("influx_measurement", "")]),
        ("--output_table=a#b", [("output_table", "a#b")]),
        ("--offset -1.5", [("offset", "-1.5")]),
        ("--temp_location=${BUCKET}/$(id)`id`", [("temp_location", "${BUCKET}/$(id)`id`")]),
        ("  # --region=us-east1", []),
        ("--job-server-timeout=3", [("job-server-timeout", "3")]),
    ],
)
def test_ways_to_write_a_line(line, flags):
    parsed = parse(f"\ufeff{line}\n\n", "f.txt")
    assert [(flag.name, flag.value) for flag in parsed] == flags


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("region=us-east1", "'region=us-east1': expected --flag=value"),
        ("--region us east", "'east': expected --flag=value"),
        ("--region=us east", "'east': expected --flag=value"),
        ("--device -x", "'-x': expected --flag=value"),
        ("-- --region=a", "'--': expected --flag=value"),
        ("--=3", "'--=3': expected --flag=value"),
        ("--device=CPU  # no GPU", "'#': put a comment on a line of its own"),
        ("--region='us", 'a quote is not closed: "--region=\'us"'),
        ("--region=us \\", "ends in a backslash: '--region=us \\\\'"),
        ("--region=a\0b", "holds a NUL byte: remove it"),
    ],
)
def test_a_line_that_is_no_flag_is_named(line, problem):
    with pytest.raises(UsageError) as caught:
        parse(f"--device=CPU\n{line}\n", "f.txt")
    assert str(caught.value) == f"f.txt:2: {problem}"


def test_a_file_with_windows_line_ends(tmp_path):
    path = tmp_path / "f.txt"
    path.write_bytes(b"# a\r\n--region=us-east1\r\n\r\n--device CPU\r\n")
    assert [str(flag) for flag in read(path)] == ["--region=us-east1", "--device=CPU"]


def test_a_folder_is_no_options_file(tmp_path):
    with pytest.raises(UsageError, match=r"is a folder, not an options file$"):
        read(tmp_path)


# --- what a flag means ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "override"),
    [
        ("--region=us-east1", "cluster.region=us-east1"),
        ("--machine_type=n1-standard-8", "cluster.machine_type=n1-standard-8"),
        ("--worker_machine_type=n1-standard-8", "cluster.machine_type=n1-standard-8"),
        ("--num_workers=3", "cluster.workers=3"),
        ("--max_num_workers=9", "cluster.max_workers=9"),
        ("--disk_size_gb=200", "cluster.disk_gb=200"),
        ("--autoscaling_algorithm=THROUGHPUT_BASED", "cluster.autoscaling=throughput_based"),
        (
            "--experiments=use_runner_v2,worker_accelerator=type:nvidia-l4;count:2",
            "cluster.accelerator={type: nvidia-l4, count: 2, driver: false}",
        ),
        (
            "--experiments=worker_accelerator=type:nvidia-l4;count:2;install-nvidia-driver:5xx",
            "cluster.accelerator={type: nvidia-l4, count: 2, driver: 5xx}",
        ),
        ("--worker_disk_type=pd-ssd", "cluster.disk_type=pd-ssd"),
        (
            "--disk_type=compute.googleapis.com/projects//zones//diskTypes/pd-ssd",
            "cluster.disk_type=pd-ssd",
        ),
        ("--flexrs_goal=COST_OPTIMIZED", "cluster.spot=true"),
        ("--sdk_container_image=r/i:1", "cluster.container_image=r/i:1"),
        (
            "--dataflow_service_options=worker_accelerator=type:nvidia-l4;install-nvidia-driver",
            "cluster.accelerator={type: nvidia-l4, count: 1, driver: true}",
        ),
        ("--metrics_dataset=mine", "publish.bigquery.dataset=mine"),
        ("--metrics_table=mine", "publish.bigquery.table=mine"),
        ("--publish_to_big_query=False", "publish.bigquery=null"),
        ("--influx_measurement=mine", "publish.influxdb.measurement=mine"),
        ("--influx_measurement=", "publish.influxdb=null"),
        ("--device=GPU", "model.device=gpu"),
    ],
)
def test_a_flag_sets_a_key(line, override):
    own = meant(line)
    assert (own.overrides, own.left_out) == ([override], [])
    assert LIBRARY.resolve(RESNET101, overrides=own.overrides).definition != defined(RESNET101)


@pytest.mark.parametrize(
    "line",
    [
        "--num_workers=75",
        "--autoscaling_algorithm=NONE",
        "--publish_to_big_query=true",
        "--device=cpu",
        "--pretrained_model_name=resnet101",
        "--model_gcs_path=gs://models/resnet101/",
        "--mode=batch",
        "--input_file=packaged",
    ],
)
def test_what_the_benchmark_says_already_is_no_change(line):
    assert meant(line) == Translation()


def test_weights_in_a_file():
    own = meant("--model_state_dict_path=mine.pth")
    assert own.overrides == ["model.weights=file", "model.path=mine.pth"]
    own = meant("--model_state_dict_path=mine.pth", chosen=["model.weights"])
    assert own.overrides == []
    assert "model.weights or model.path goes before" in own.left_out[0]


def test_beams_own_flags_are_passed_on():
    own = meant(
        "--direct_num_workers=1\n--experiments=a,b\n--experiments=c=d,e\n--runtime_type_check"
    )
    assert own.left_out == []
    assert own.beam_flags == [
        "--direct_num_workers=1",
        "--experiments=a",
        "--experiments=b",
        "--experiments=c=d,e",
        "--runtime_type_check",
    ]


@pytest.mark.parametrize("name", sorted(LEFT_OUT))
def test_what_has_no_effect_is_named_with_the_reason_and_without_the_value(name):
    own = meant(f"\n--{name}=secret")
    assert own == Translation(left_out=[f"f.txt:2: --{name} is left out: {LEFT_OUT[name]}"])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--colour=hunter2", "f.txt:1: --colour: nothing reads it, neither a definition nor the"),
        (
            "--num_worker=3",
            r"--num_worker: nothing .* runner \(did you mean 'num_workers'\?\): rem",
        ),
        (
            "--inference_batch_size=64",
            "f.txt:1: --inference_batch_size: no benchmark reads it: nor",
        ),
        ("--max_batch_size=8", "--max_batch_size: .*: use --set batching.min_batch_size=N and --s"),
        ("--large_model", "--large_model: no benchmark reads it: use --set model.large=true"),
        ("--image_size=3", "--image_size: no benchmark reads it: what the workload does is said w"),
    ],
)
def test_a_flag_that_nothing_reads_is_refused_without_its_value(line, words):
    with pytest.raises(UsageError, match=words) as caught:
        meant(line)
    assert "hunter2" not in str(caught.value)


def test_a_flag_that_nothing_reads_is_refused_on_a_cluster_too():
    with pytest.raises(UsageError, match="--colour: nothing reads it"):
        meant("--colour", runner="dataflow")


def test_of_a_flag_that_stands_twice_the_last_counts():
    own = meant("--num_workers=3\n--num_workers=4\n")
    assert own.overrides == ["cluster.workers=4"]
    assert own.left_out == ["f.txt:1: --num_workers=3 is left out: f.txt:2 sets it again"]


@pytest.mark.parametrize("name", ["images_dir", "job_name"])
def test_what_has_no_effect_is_named_without_its_values_where_it_stands_twice(name):
    first, last = meant(f"--{name}=hunter2\n--{name}=hunter3\n").left_out
    assert first == f"f.txt:1: --{name} is left out: f.txt:2 sets it again"
    assert "hunter" not in last


def test_of_two_flags_for_one_key_the_later_counts():
    own = meant("--worker_machine_type=a\n--machine_type=b\n")
    assert own.overrides == ["cluster.machine_type=b"]
    assert own.left_out == [
        "f.txt:1: --worker_machine_type=a is left out: f.txt:2 sets the same with --machine_type"
    ]


@pytest.mark.parametrize("chosen", ["cluster.workers", "cluster"])
def test_the_command_line_goes_before_the_file(chosen):
    own = meant("--num_workers=3\n--disk_size_gb=9", chosen=[chosen])
    assert "cluster.workers=3" not in own.overrides
    assert "--num_workers=3 is left out: --set of cluster.workers goes before it" in own.left_out[0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("--num_workers=many", "--num_workers=many: expected a whole number from 1"),
        ("--num_workers=0", "--num_workers=0: expected a whole number from 1"),
        ("--num_workers", "--num_workers: a value is missing"),
        ("--metrics_table=", "--metrics_table=: a value is missing"),
        ("--influx_measurement", "--influx_measurement: a value is missing"),
        ("--device=TPU", "--device=TPU: expected cpu or gpu"),
        ("--publish_to_big_query=yes", "--publish_to_big_query=yes: expected true or false"),
        ("--streaming=true", "--streaming=true: takes no value"),
        ("--disk_type=hyperdisk", "expected pd-standard or pd-ssd"),
        ("--flexrs_goal=FAST", "expected cost_optimized or speed_optimized"),
        ("--autoscaling_algorithm=BASIC", "expected none or throughput_based"),
        ("--experiments=worker_accelerator=count:1", "expected worker_accelerator=type:TYPE"),
        ("--experiments=worker_accelerator=type:t;count:x", "expected worker_accelerator=type"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(text, problem):
    message = refusal(f"\n{text}")
    assert message.startswith("f.txt:2: --")
    assert problem in message


@pytest.mark.parametrize(
    "line",
    ["--pretrained_model_name=resnet50", "--bert_tokenizer=b", "--model_gcs_path=gs://m/resnet50"],
)
def test_another_model_is_named_and_never_measured_under_this_name(line):
    own = meant(line)
    assert own == Translation(
        left_out=[
            f"f.txt:1: {line} is left out: {RESNET101} is a benchmark of resnet101, "
            "which is what runs"
        ]
    )
    own = meant(line, chosen=["model.name"])
    assert own == Translation(
        left_out=[f"f.txt:1: {line} is left out: --set model.name goes before it"]
    )


def test_a_benchmark_without_a_model_leaves_a_model_out():
    own = meant("--pretrained_model_name=resnet50\n--model_state_dict_path=m.pth", NOOP)
    assert own.overrides == []
    assert [line.split(": ")[-1] for line in own.left_out] == [
        "overhead-noop has no model",
        "overhead-noop has no weights",
    ]


@pytest.mark.parametrize("line", ["--streaming", "--mode=streaming"])
def test_another_scenario_is_refused(line):
    assert f"{RESNET101} is a batch benchmark" in refusal(line)
    assert "--set scenario" in meant(line, chosen=["scenario"]).left_out[0]


# --- the input ------------------------------------------------------------------------------------


def test_an_input_that_is_here_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text("a.jpg\n")
    assert meant("--input_file=list.txt").source == "list.txt"
    own = meant("--input_file=list.txt", has_source=True)
    assert (own.source, "--input goes before it" in own.left_out[0]) == (None, True)
    assert "remove one of the two" in refusal("--input=list.txt\n--input_file=list.txt")


@pytest.mark.parametrize(
    ("source", "where"), [("gs://bucket/list.txt", "in a store"), ("missing.txt", "not found here")]
)
def test_an_input_that_is_elsewhere_is_left_out(source, where, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = meant(f"--input={source}")
    assert own.source is None
    assert f"--input={source} is left out: it is {where}" in own.left_out[0]
    assert "the input is packaged; name a file with --input" in own.left_out[0]


# --- sections that a benchmark lacks --------------------------------------------------------------


def test_a_cluster_for_a_benchmark_without_one():
    own = meant("--num_workers=3\n--machine_type=m\n--disk_size_gb=9", NOOP)
    cluster = LIBRARY.resolve(NOOP, overrides=own.overrides).definition.cluster
    assert cluster is not None
    assert (cluster.workers, cluster.machine_type, cluster.disk_gb) == (3, "m", 9)


def test_half_a_cluster_is_left_out():
    own = meant("--num_workers=3\n--region=us-east1", NOOP)
    assert own.overrides == []
    assert own.left_out[0] == (
        "f.txt:1: --num_workers=3 is left out: "
        "overhead-noop has no cluster, and the file no machine_type, disk_gb"
    )


def test_a_table_of_a_file_that_does_not_publish_is_left_out():
    own = meant("--metrics_table=mine\n--publish_to_big_query=false")
    assert own.overrides == ["publish.bigquery=null"]
    assert own.left_out[0].endswith(
        "--metrics_table=mine is left out: --publish_to_big_query=false"
    )


# --- the files of Beam's own benchmarks -----------------------------------------------------------


@pytest.mark.parametrize("name", BEAMS)
def test_a_file_of_beams_own_repository(name):
    definition = defined(name)
    chosen = ["model.name"] if name == RESNET152_T4 else []
    own = translate(parse(BEAM_FILES[name], "f.txt"), definition, chosen=chosen)
    changed = LIBRARY.resolve(name, overrides=own.overrides).definition
    assert changed.model.name == definition.model.name
    assert own.source is None
    named = {line.split(": ")[1].split("=")[0].split()[0] for line in own.left_out}
    assert {"--runner", "--staging_location", "--temp_location", "--input_options"} <= named
    assert changed.publish.bigquery is not None
    assert f"--metrics_table={changed.publish.bigquery.table}\n" in BEAM_FILES[name]
    assert changed.cluster is not None
    assert f"--num_workers={changed.cluster.workers}\n" in BEAM_FILES[name]


DRIFT = {
    RESNET101: [],
    "pytorch-image-classification-resnet152": [],
    RESNET152_T4: [
        "cluster.workers=30",
        "cluster.accelerator={type: nvidia-tesla-t4, count: 1, driver: 5xx}",
        "cluster.container_image=us.gcr.io/apache-beam-testing/python-postcommit-it/"
        "tensor_rt:latest",
    ],
    "pytorch-language-modeling-bert-base": [],
    "pytorch-language-modeling-bert-large": [],
}
"""What the files of the benchmarks say otherwise than the documentation, where it is little."""


@pytest.mark.parametrize("name", [name for name in DRIFT if name in BEAMS])
def test_only_the_drift_of_beams_files_changes_a_benchmark(name):
    own = translate(parse(BEAM_FILES[name], "f.txt"), defined(name))
    assert own.overrides == DRIFT[name]


def test_the_t4_file_is_of_another_model_than_its_benchmark():
    own = meant(BEAM_FILES[RESNET152_T4], RESNET152_T4)
    (line,) = [line for line in own.left_out if "--pretrained_model_name=resnet50" in line]
    assert "benchmark of resnet152" in line


def test_what_only_a_cluster_heeds_is_passed_on_to_one():
    text = "--network=n\n--dataflow_service_options=x=y\n--temp_location=gs://bucket/tmp\n"
    own = meant(text, runner="dataflow")
    assert own == Translation(
        overrides=["cluster.temp_location=gs://bucket/tmp"],
        beam_flags=["--network=n", "--dataflow_service_options=x=y"],
    )
    assert len(meant(text).left_out) == 3


# --- with Beam ------------------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.parametrize("runner", BUILT_IN)
@pytest.mark.parametrize("name", LIBRARY.names())
def test_beam_reads_a_printed_benchmark(name, runner):
    from apache_beam.options.pipeline_options import (
        GoogleCloudOptions,
        PipelineOptions,
        StandardOptions,
        WorkerOptions,
    )
    from apache_beam.testing.load_tests.load_test import LoadTestOptions

    definition = defined(name)
    options = PipelineOptions(shlex.split(printed(definition, runner)))
    assert options.view_as(StandardOptions).runner == find_runner(runner).beam_name
    ours = options.view_as(LoadTestOptions)
    assert ours.input_options == {}
    assert ours.publish_to_big_query is (definition.publish.bigquery is not None)
    if definition.publish.bigquery is not None:
        assert ours.metrics_table == definition.publish.bigquery.table
    cluster = definition.cluster if runner == "dataflow" else None
    workers = options.view_as(WorkerOptions)
    assert workers.num_workers == (cluster.workers if cluster else None)
    if cluster is not None:
        assert workers.machine_type == cluster.machine_type
        assert workers.disk_size_gb == cluster.disk_gb
        assert workers.max_num_workers == cluster.max_workers
        assert workers.autoscaling_algorithm == cluster.autoscaling.upper()
        assert options.view_as(GoogleCloudOptions).region == cluster.region
        wanted = cluster.accelerator
        assert options.view_as(GoogleCloudOptions).dataflow_service_options == (
            [f"worker_accelerator=type:{wanted.type};count:{wanted.count};install-nvidia-driver"]
            if wanted
            else None
        )


@pytest.mark.real
def test_what_is_passed_on_is_beams():
    from beambench.runners.direct.beam.flags_read import beam_parser

    known = beam_parser()._option_string_actions
    assert [name for name in sorted(DIRECT_FLAGS) if f"--{name}" not in known] == []
