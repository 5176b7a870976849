"""The schema of a benchmark definition: every key that a definition file may have."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import Field, create_model, model_validator

from beambench.definition.publish import PublishSection, nowhere, whole_schema
from beambench.definition.runners import CLUSTER
from beambench.definition.section import Project, Section

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,99}$")]
PositiveInt = Annotated[int, Field(ge=1, strict=True)]
Seconds = Annotated[float, Field(gt=0)]
Scalar = str | int | float | bool | None

KEYWORD_SOURCES = ("packaged", "synthetic")
FOLDERS = "folders"
"""What stands in place of a label file for class folders. A file of this name is ./folders."""

"""Inputs that are no path."""

SIZE_TOLERANCE = 0.02
"""How far the weights file may differ from the size that the definition states."""


class Model(Section):
    """The model and where its weights come from."""

    name: str = Field(description="Architecture, as the workload knows it (for example resnet101).")
    weights: Literal["pretrained", "random", "trained", "file", "none"] = Field(
        description="pretrained: published weights, downloaded or packaged; random: made from the "
        "seed, the same cost per element; trained: by beambench, from the seed, on packaged data; "
        "file: `path`; none: the workload has no weights."
    )
    path: str | None = Field(
        None, description="State dict, or folder of a model server's, when weights is `file`."
    )
    size_mib: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Size of the weights on disk in MiB, asserted at load (± 2 %)."
    )
    precision: Literal["float32", "bfloat16", "float16", "auto"] = Field(
        "float32",
        description="Type of weights and activations in the model; auto: what the CPU or GPU "
        "multiplies fast, decided once for a run, and recorded with the reason.",
    )
    large: bool = Field(
        False, description="Beam's `large_model`: one copy for all processes of a machine."
    )
    copies: PositiveInt | None = Field(
        None, description="Beam's `model_copies`: copies that the processes of a machine share."
    )
    device: Literal["cpu", "gpu"] = Field("cpu", description="Device that the model must run on.")

    @model_validator(mode="after")
    def _path_goes_with_file(self) -> Model:
        if (self.weights == "file") != (self.path is not None):
            raise ValueError("`path` is needed with weights: file, and only there")
        return self


class Input(Section):
    """What is read: the type that the workload takes, and where it comes from."""

    type: str = Field(
        description="What the workload reads: `images`, `numbers`, or lines of text: `sentences`, "
        "`prompts` or `rows`."
    )
    source: str = Field(
        description="`packaged`, `synthetic`, a directory, or a text file with one element, or "
        "the path of one, a line; here or at gs://."
    )
    labels: str | None = Field(
        None,
        description="File with `file,class_index` rows (or tabs), or `folders`: the class is the "
        "folder that a picture lies in.",
    )


class Batching(Section):
    """Limits that Beam's adaptive batching keeps to (arguments of the model handler)."""

    min_batch_size: PositiveInt | None = None
    max_batch_size: PositiveInt | None = None
    max_batch_duration_secs: PositiveInt | None = Field(
        None, description="Seconds that Beam holds a batch back over bundles (stateful batching)."
    )
    bucket_boundaries: list[PositiveInt] | None = Field(
        None,
        description="Lengths at which Beam's length-aware batching begins a new bucket; needs "
        "max_batch_duration_secs and a workload that has a length.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Batching:
        low, high = self.min_batch_size, self.max_batch_size
        if low is not None and high is not None and low > high:
            raise ValueError(f"min_batch_size {low} is greater than max_batch_size {high}")
        if self.bucket_boundaries is not None:
            if self.max_batch_duration_secs is None:
                raise ValueError("bucket_boundaries needs max_batch_duration_secs")
            if sorted(set(self.bucket_boundaries)) != self.bucket_boundaries:
                raise ValueError("bucket_boundaries must rise")
        return self


class RunnerSettings(Section):
    """How the runner of this machine works."""

    processes: PositiveInt = Field(
        1, description="Processes that run the pipeline at once, on the direct runner."
    )


DriverVersion = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,29}$")]


class Accelerator(Section):
    type: str
    count: PositiveInt = 1
    driver: bool | DriverVersion = Field(
        True,
        description="Let Dataflow install the NVIDIA driver on the workers, or which, as `5xx`.",
    )


Bucket = Annotated[str, Field(pattern=r"^gs://[a-z0-9][a-z0-9._-]{1,221}[a-z0-9](/.*)?$")]


class Cluster(Section):
    """The cluster that the full profile is defined for."""

    runner: Literal[CLUSTER] = CLUSTER  # type: ignore[valid-type]
    region: str = "us-central1"
    machine_type: str
    workers: PositiveInt
    max_workers: PositiveInt | None = None
    autoscaling: Literal["none", "throughput_based"] = "none"
    disk_gb: PositiveInt
    disk_type: Literal["pd-standard", "pd-ssd"] = "pd-standard"
    accelerator: Accelerator | None = None
    spot: bool = Field(
        False, description="Workers that may be taken away: Dataflow's FlexRS, cost-optimised."
    )
    processes: PositiveInt | None = Field(
        None,
        description="SDK processes on each worker; null: one for each vCPU, as Dataflow does. "
        "Only 1 or null can be asked of Dataflow.",
    )
    container_image: str | None = Field(
        None,
        description="Image of the workers; null: Beam's own, with packages installed at start.",
    )
    experiments: list[str] = Field([])
    service_options: list[str] = Field([])
    project: Project | None = Field(None, description="null: GOOGLE_CLOUD_PROJECT.")
    temp_location: Bucket | None = Field(
        None, description="gs:// folder for all that a job reads and writes besides its input."
    )
    staging_location: Bucket | None = Field(None, description="null: beside temp_location.")


PLACES = frozenset({"project", "temp_location", "staging_location"})
"""Keys of a cluster that say where a job's files lie, and nothing of what is measured."""


class Profile(Section):
    """How much of a benchmark is run."""

    limit: PositiveInt = Field(description="Elements of the benchmark's own input.")
    repeats: PositiveInt = Field(description="Whole executions, each in a process of its own.")
    timeout: Seconds = Field(description="Seconds for the whole run.")
    slot_seconds: Seconds = Field(
        description="Width of the time slots (at most 240) that the steady window is counted in."
    )
    weights: Literal["pretrained", "random", "trained", "file", "none"] | None = Field(
        None, description="Weights of this profile, where they differ from the model's."
    )
    model: str | None = Field(
        None, description="Architecture of this profile, where it differs from the model's."
    )


class Definition(Section):
    """A benchmark: workload, model, input, cluster shape, and where results are published."""

    name: Name
    title: str
    description: str = ""
    workload: str = Field(
        description="A workload of beambench (`image_classification`), or `module:Class` of yours."
    )
    scenario: Literal["batch", "streaming"] = "batch"
    model: Model
    input: Input
    batching: Batching = Batching()
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Settings of the workload; it states which there are."
    )
    interpreter: str | None = Field(
        None,
        description="Python that runs the workers, where not beambench's own: a path, looked for "
        "beside the definition, from the current folder and beside beambench's environment.",
    )
    threads: PositiveInt | None = Field(
        None, description="Threads inside one operation of the framework; null: its default."
    )
    max_failed: Annotated[float, Field(ge=0, le=1)] = Field(
        0.01, description="Share of failed elements above which the run fails."
    )
    runner: RunnerSettings = RunnerSettings()
    cluster: Cluster | None = None
    publish: PublishSection = Field(default_factory=nowhere)
    profiles: dict[Name, Profile] = Field(min_length=1)

    def digest(self) -> str:
        """SHA-256 over all that defines what is measured.

        Left out are title, description, where results are published and where files of jobs lie.
        """
        content = self.model_dump(
            mode="json",
            exclude={"title": True, "description": True, "publish": True, "cluster": set(PLACES)},
        )
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()


class DefinitionFile(Definition):
    """A definition as a file holds it: with the keys that are gone once it is resolved."""

    inherit: str | None = Field(None, description="Definition that this one starts from.")
    variants: dict[Name, dict[str, Any]] = Field(
        default_factory=dict,
        description="Settings under a name, merged over the definition. `stock` is the default.",
    )


def json_schema() -> dict[str, Any]:
    """JSON Schema of a definition file.

    A file that inherits, or has no name because others inherit it, may leave out any key; what
    must be there is asked of a file that has a name and no parent.
    """
    publish = whole_schema()
    whole = create_model(
        "DefinitionFile",
        __base__=DefinitionFile,
        __doc__=DefinitionFile.__doc__,
        publish=(publish, publish()),
    )
    schema = whole.model_json_schema()
    complete = _requirements(schema, schema["$defs"])
    for section in (schema, *schema["$defs"].values()):
        section.pop("required", None)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "beambench definition"
    schema["if"] = {"required": ["name"], "not": {"required": ["inherit"]}}
    schema["then"] = complete
    return schema


def _requirements(schema: dict[str, Any], sections: dict[str, Any]) -> dict[str, Any]:
    """Return the `required` of a schema and of all below it, and nothing else."""
    for choice in schema.get("anyOf", [schema]):
        if "$ref" in choice:
            return _requirements(sections[choice["$ref"].rpartition("/")[2]], sections)
    requirements: dict[str, Any] = {"required": schema["required"]} if "required" in schema else {}
    for group in ("properties", "patternProperties"):
        below = {
            key: asked
            for key, value in schema.get(group, {}).items()
            if (asked := _requirements(value, sections))
        }
        if below:
            requirements[group] = below
    return requirements
