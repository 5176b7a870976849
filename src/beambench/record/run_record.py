"""The run record: the immutable, self-describing JSON document of a run.

History of ``SCHEMA_VERSION``:

* 1 (beambench 0.1): first version.
* 2: ``throughput_steady`` and ``throughput_inferred`` instead of ``throughput_elements_steady`` and
  ``inference_throughput_elements``, whose windows held work of elements that they did not count;
  ``normalized_latency`` instead of ``time_per_output_token``, which is another thing elsewhere.
  Batches that were run again are in ``inference_batch_latency_*``: values of records of version 1
  with ``batches_retried`` are not of one series with these. ``cpu_time_per_element`` of a run whose
  model a server has, or processes share (``model_runs``, ``model.large``, ``model.copies``, models
  for keys), is of the worker's whole process tree: values of such records of version 1, which hold
  the processes that inferred alone, are not of one series with these. It is unknown where the model
  is elsewhere.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

SCHEMA_VERSION = 2

Status = Literal["succeeded", "failed", "cancelled", "timed_out"]
Direction = Literal["higher", "lower", "neither"]
ModelRuns = Literal["in_worker", "server", "elsewhere"]
"""Where a model computes; see `beambench.workloads.base.Workload`."""


class Part(BaseModel):
    """A part of the record: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MetricValue(Part):
    """A value with what is needed to read it.

    ``n`` counts what the value was computed from: repeats for a run-level median, batches for a
    latency of one repeat, elements for an accuracy. ``ci_*`` is the confidence interval of a
    run-level median at 95 % or more, null where ``n`` does not allow one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    value: float
    unit: str
    direction: Direction
    n: int
    ci_low: float | None = None
    ci_high: float | None = None


Metrics = dict[str, MetricValue]


class FailedElement(Part):
    """An element that did not come out, and why."""

    id: str
    stage: str
    error: str


class LabelComparison(Part):
    """The labels of all elements beside those of the first execution of the run.

    Attributes:
        compared: elements that came out of both.
        differing: those of them with another label.
        listed: ids of the first of these.
    """

    compared: int
    differing: int
    listed: list[str] = Field(default_factory=list)


class Verification(Part):
    """The proof that the work was done: counts and order-independent sums over the output.

    ``digest`` is the sum of hash(id, label) over all outputs mod 2**128, in hex: two executions
    that gave every element the same label have the same digest. ``reference_agreement`` is the
    share of the sample on which the run and a bare loop agree, null if it could not be computed.
    ``stock`` says how far a variant's outputs are from those of `stock` on the same weights; empty
    for `stock` itself and for a variant whose model computes the same.
    ``warnings`` say what makes a proof that passed weaker than others.
    There are three verdicts: ``passed``; failed, with ``problems``; and unverified, where neither
    can be said. ``unverified`` says why: the labels of a benchmark had no reference to be compared
    with, or the pipeline existed already. The counts are null where nothing counted.
    ``elements_compared`` counts the elements whose label or output was compared with the bare
    loop's. Of a pipeline that passed, a share of wrong labels above ``detectable_share`` would have
    been seen with a probability of 95 %, wherever they lie by chance; 0 where every one would.
    ``label_comparison`` is of all elements, with the first execution of the run. All three are
    absent where nothing was compared, and from earlier records.
    """

    elements_in: int | None
    elements_out: int | None
    elements_failed: int | None
    duplicates: int | None
    missing: int | None = 0
    digest: str | None = None
    reference_agreement: float | None = None
    reference: dict[str, Any] = Field(default_factory=dict)
    stock: dict[str, Any] = Field(default_factory=dict)
    failed: list[FailedElement] = Field(default_factory=list)
    failed_listed: int = 0
    passed: bool = False
    problems: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    unverified: str | None = None
    elements_compared: int | None = None
    detectable_share: float | None = None
    label_comparison: LabelComparison | None = None

    @model_serializer(mode="wrap")
    def _as_recorded(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what later versions added where it is unknown, as earlier records do."""
        document: dict[str, Any] = serialise(self)
        for name in ("elements_compared", "detectable_share", "label_comparison"):
            if document.get(name) is None:
                document.pop(name, None)
        return document


Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Usage(Part):
    """What one execution used of a cluster: amounts, never money. Null is unknown, never 0.

    Attributes:
        source: who counted: the service's own metrics, or a projection from a local run.
        vcpu_seconds, memory_gb_seconds: of all workers; GB is 2**30 bytes, as the service bills it.
        disk_gb_seconds, ssd_gb_seconds: of standard and of SSD persistent disks.
        gpu_seconds: of all accelerators.
        shuffle_gb: processed by the batch shuffle service.
        streaming_gb: processed by the streaming engine.
        worker_seconds: of all machines, for sheets that price the hour of a machine.
    """

    source: Literal["service", "projection"]
    vcpu_seconds: Amount | None = None
    memory_gb_seconds: Amount | None = None
    disk_gb_seconds: Amount | None = None
    ssd_gb_seconds: Amount | None = None
    gpu_seconds: Amount | None = None
    shuffle_gb: Amount | None = None
    streaming_gb: Amount | None = None
    worker_seconds: Amount | None = None


class ElementFlow(Part):
    """Elements into and out of one RunInference of a pipeline that exists already.

    Attributes:
        elements_in: what went in, as Beam counts it; of batches that the pipeline formed itself,
            their elements as counted at the handler. Null is unknown.
        elements_out: results that came out, as Beam counts them.
        elements_failed: what went to the failed output of `with_exception_handling`.
        missing: elements that are neither out nor failed.
        surplus: results beyond one an element.
        causes: errors of failed batches, the first of each worker.
    """

    elements_in: int | None
    elements_out: int | None = None
    elements_failed: int = 0
    missing: int = 0
    surplus: int = 0
    causes: list[str] = Field(default_factory=list)


class ModelDevice(Part):
    """A device that models of an execution were on after their load, as their parameters say.

    Attributes:
        device: torch's name: `cpu`, `cuda`, …, or several joined by ` and `. Null is unknown.
        name: of the hardware. Null is unknown: of a GPU that another process uses, for example.
        reason: why the device is unknown.
        loads: how many were loaded there.
    """

    device: str | None = None
    name: str | None = None
    reason: str | None = None
    loads: int = 1


class Repeat(Part):
    """One whole execution in a process of its own: of the pipeline, or of the reference loop.

    ``element_flows`` has each RunInference of a pipeline that exists already, by its full name.
    ``batch_sizes`` are those of the batches as they were formed; ``batches_retried`` of them
    failed, the first for ``retry_cause``, and were run one element at a time.
    ``late_loads`` are the model loads that ended in the window of the throughput, after the first
    element was read, ``steady_loads`` those in the steady window. ``weights_cached`` is the share
    of the bytes of the weights that the page cache held before the load. Absent is unknown.
    ``output_rows`` is what was counted in the target of the predictions afterwards; null where
    they were not to be written. ``devices`` has those that models were loaded on, empty where no
    batch told.
    ``excluded`` says why a repeat does not count in the metrics of the run. Absent: it counts,
    unless it failed.
    """

    index: int
    arm: Literal["pipeline", "loop", "ceiling"]
    status: Status
    started_at: str
    finished_at: str
    metrics: Metrics = Field(default_factory=dict)
    verification: Verification | None = None
    noise: dict[str, Any] = Field(default_factory=dict)
    devices: list[ModelDevice] = Field(default_factory=list)
    batch_sizes: list[int] = Field(default_factory=list)
    batches_retried: int = 0
    retry_cause: str | None = None
    runner: dict[str, Any] = Field(default_factory=dict)
    usage: Usage | None = None
    beam_metrics: dict[str, Any] = Field(default_factory=dict)
    cross_check: dict[str, Any] = Field(default_factory=dict)
    element_flows: dict[str, ElementFlow] = Field(default_factory=dict)
    late_loads: int | None = None
    steady_loads: int | None = None
    weights_cached: float | None = None
    output_rows: int | None = None
    error: dict[str, Any] | None = None
    excluded: str | None = None

    @property
    def counts(self) -> bool:
        """Whether the values of the run are made from it."""
        return self.status == "succeeded" and self.excluded is None

    @property
    def is_disturbed(self) -> bool:
        """Whether others are known to have disturbed it."""
        return self.noise.get("disturbed") is True

    @property
    def job_id(self) -> str | None:
        """The job of a service that it was, None on this machine."""
        job_id = self.runner.get("job_id")
        return job_id if isinstance(job_id, str) else None

    @model_serializer(mode="wrap")
    def _as_recorded(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is unknown of the loads, as earlier records do, and that it counts."""
        document: dict[str, Any] = serialise(self)
        for name in ("late_loads", "steady_loads", "weights_cached", "excluded"):
            if document.get(name, 0) is None:
                del document[name]
        return document


class RunnerRecord(Part):
    """The runner asked for and the one that ran (null if none did)."""

    requested: str
    executed: str | None
    implementation: str | None = None
    options: list[str] = Field(default_factory=list)
    counters: Literal["committed", "attempted"] | None = None


class ClassFolders(Part):
    """Which class each class folder of an input stands for (``labels: folders``).

    ``numbered_by`` says why: ``position`` in the order of the folders' names, as torchvision's
    ImageFolder numbers them, or what the folders are called: ``name`` of a class (the synset of
    ImageNet) or class ``index``.
    """

    numbered_by: Literal["position", "name", "index"]
    classes: dict[str, int]


class InputRecord(Part):
    """What was read. ``digest`` is over the contents in order, not over where they lie.

    ``labels`` is the file of the true classes, or ``folders`` with ``class_folders``.
    """

    kind: str
    count: int | None
    digest: str | None
    bytes: int | None = None
    source: str | None = None
    labels: str | None = None
    class_folders: ClassFolders | None = None

    @model_serializer(mode="wrap")
    def _as_recorded(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave class folders out where they are not the labels, as earlier records do."""
        document: dict[str, Any] = serialise(self)
        if self.class_folders is None:
            document.pop("class_folders", None)
        return document


class ModelRecord(Part):
    """The model that ran; ``digest`` is the SHA-256 of the weights file."""

    name: str
    weights: Literal["pretrained", "random", "trained", "file", "none", "unknown"]
    digest: str | None = None
    size_mib: float | None = None


class Choice(Part):
    """What a setting that the definition leaves open came to where the model ran, and why.

    ``setting`` is its dotted path in the definition.
    """

    setting: str
    value: Any
    reason: str


class Imported(Part):
    """Where a run comes from that this store did not see happen.

    ``source`` names the database and the table or measurement, or the file, and ``format`` what
    its rows were: a whole record of beambench, or Beam's rows, which leave most of it unknown.
    """

    source: str
    format: Literal["record", "beam"]
    imported_at: str


class RunNoise(Part):
    """What disturbed the repeats, those of the loops too.

    ``disturbed_repeats`` and ``unjudged_repeats`` are positions among all repeats in their order,
    the latter of those of which nothing is known. ``worst`` holds the highest value of each figure
    that a repeat has (the lowest of ``cpu_mhz_end``), null if no repeat knows it.
    ``excluded_repeats`` are the positions of those that do not count in the metrics, because they
    were disturbed and repeated. ``counted_repeats`` of the pipeline do, ``counted_disturbed`` of
    which were disturbed.
    """

    repeats: int = 0
    disturbed_repeats: list[int] = Field(default_factory=list)
    unjudged_repeats: list[int] = Field(default_factory=list)
    worst: dict[str, float | None] = Field(default_factory=dict)
    excluded_repeats: list[int] = Field(default_factory=list)
    counted_repeats: int = 0
    counted_disturbed: int = 0

    @model_serializer(mode="wrap")
    def _as_recorded(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Return what was recorded: a run that was imported says nothing of its noise."""
        return {
            name: value for name, value in serialise(self).items() if name in self.model_fields_set
        }


class RunRecord(Part):
    """One run: the repeats of one benchmark with one configuration, and all that was measured."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    benchmark: str
    variant: str
    profile: str
    definition_hash: str
    beambench_version: str
    runner: RunnerRecord
    status: Status
    started_at: str
    finished_at: str
    input: InputRecord
    model: ModelRecord
    config: dict[str, Any]
    choices: list[Choice] = Field(default_factory=list)
    repeats: list[Repeat]
    references: list[Repeat] = Field(default_factory=list)
    metrics: Metrics
    verification: Verification
    noise: RunNoise
    environment: dict[str, Any]
    labels: dict[str, str] = Field(default_factory=dict)
    command: list[str]
    warnings: list[str] = Field(default_factory=list)
    error: str | None = None
    imported: Imported | None = None
