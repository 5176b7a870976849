"""What the demonstration's runs are of, and what happened to them in the year: data alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

DAYS = 365

Stage = Literal["read", "preprocess", "inference", "postprocess", "overhead"]
MACHINES = {
    "a": ("Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", 8),
    "b": ("AMD EPYC 9B14 96-Core Processor", 8),
}
PACKAGES = {
    "apache-beam": {0: "2.74.0", 96: "2.75.0", 205: "2.76.0", 318: "2.77.0"},
    "torch": {0: "2.11.0", 150: "2.12.0", 288: "2.13.0"},
    "numpy": {0: "2.3.5", 210: "2.4.6"},
    "pillow": {0: "12.0.0", 131: "12.2.0", 300: "12.3.0"},
    "scikit-learn": {0: "1.7.2", 240: "1.8.0"},
    "onnxruntime": {0: "1.30.0", 333: "1.32.0"},
}
"""Versions by the day from which they were installed."""

COMMIT_EVERY = 3
"""Days between commits of the project."""


@dataclass(frozen=True)
class Event:
    """A change of the time that an element takes in a stage, or of a number.

    Attributes:
        day: of the year, from which on it holds.
        stage: or None: the memory.
        factor: by which the time is multiplied; of a drift once it has ended.
        until: of a drift, the day on which it has ended; None: a step.
    """

    day: int
    stage: Stage | None
    factor: float
    until: int | None = None

    def at(self, day: int) -> float:
        """Return the factor that holds on a day."""
        if day < self.day:
            return 1.0
        if self.until is None or day >= self.until:
            return self.factor
        return float(self.factor ** ((day - self.day) / (self.until - self.day)))


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A series of runs.

    Attributes:
        stages: seconds of one element in each stage, of one thread.
        noise: standard deviation of the logarithm of a repeat's times.
        night_noise: likewise of what all repeats of a night share.
        batch: elements of a mean batch.
        element_bytes: of an element of the input.
        load: seconds of the model load.
        memory: bytes.
        threads: of each process that does the work.
        overrides: of the definition, as `--set` takes them.
        workers: machines that do the work; of more than one, what they used is recorded.
        startup: seconds until the first element is read, without the model load.
        repeats: of a run.
        every: days between two runs; `last` is the day of the newest.
        failing_from: the day from which runs fail, and their error.
        machine_b_from: the day from which they run on the other machine.
    """

    benchmark: str
    stages: Mapping[Stage, float]
    noise: float
    night_noise: float
    batch: float
    element_bytes: int
    count: int
    load: float
    memory: float
    input_kind: str = "derived"
    variant: str = "stock"
    profile: str = "local"
    runner: str = "direct"
    accuracy: float | None = None
    threads: int = 2
    overrides: tuple[str, ...] = ()
    workers: int = 1
    startup: float = 2.2
    repeats: int = 6
    events: tuple[Event, ...] = ()
    every: int = 1
    first: int = 0
    last: int = DAYS - 1
    failing_from: int | None = None
    failure: str = ""
    machine_b_from: int | None = None


EFFICIENTNET = "pytorch-image-classification-efficientnet-lite0"
RESNET = "pytorch-image-classification-resnet101"
_LITE0: Mapping[Stage, float] = {
    "read": 0.00009, "preprocess": 0.0033, "inference": 0.0251, "postprocess": 0.00004,
    "overhead": 0.0021,
}  # fmt: skip
_LITE0_EVENTS = (
    Event(131, "preprocess", 1.35),
    Event(158, "preprocess", 0.72),
    Event(288, "inference", 0.91),
)
SUBJECTS = (
    Subject(
        benchmark=EFFICIENTNET, stages=_LITE0, noise=0.012, night_noise=0.006, batch=11.1,
        element_bytes=37_773, count=200, load=0.056, memory=1.49e9, accuracy=0.742,
        events=_LITE0_EVENTS,
    ),
    Subject(
        benchmark=EFFICIENTNET, variant="tuned", stages={**_LITE0, "inference": 0.0142},
        noise=0.011, night_noise=0.006, batch=16.0, element_bytes=37_773, count=200, load=1.31,
        memory=1.62e9, accuracy=0.742, events=_LITE0_EVENTS, every=3, first=120,
    ),
    Subject(
        benchmark="pytorch-sentiment-distilbert-streaming", input_kind="user",
        stages={"read": 0.00002, "preprocess": 0.0004, "inference": 0.0171,
                "postprocess": 0.00003, "overhead": 0.0012},
        noise=0.016, night_noise=0.009, batch=24.0, element_bytes=112, count=2000, load=0.42,
        memory=1.83e9,
        events=(Event(60, "overhead", 2.4, until=170), Event(205, "overhead", 0.45),
                Event(333, None, 1.22)),
    ),
    Subject(
        benchmark="sklearn-digits",
        stages={"read": 0.000011, "preprocess": 0.000036, "inference": 0.000094,
                "postprocess": 0.000007, "overhead": 0.000048},
        noise=0.021, night_noise=0.008, batch=180.0, element_bytes=128, count=20_000, load=0.004,
        memory=4.1e8, accuracy=0.978, events=(Event(240, "inference", 1.08),), machine_b_from=205,
    ),
    Subject(
        benchmark="onnx-digits",
        stages={"read": 0.000011, "preprocess": 0.000035, "inference": 0.000058,
                "postprocess": 0.000007, "overhead": 0.000049},
        noise=0.014, night_noise=0.007, batch=180.0, element_bytes=128, count=20_000, load=0.011,
        memory=3.7e8, accuracy=0.981, events=(Event(345, "inference", 1.31),),
    ),
    Subject(
        benchmark="overhead-noop", input_kind="synthetic",
        stages={"read": 0.000004, "preprocess": 0.000002, "inference": 0.000003,
                "postprocess": 0.000002, "overhead": 0.000052},
        noise=0.009, night_noise=0.005, batch=100.0, element_bytes=1024, count=100_000,
        load=0.0002, memory=2.4e8,
        events=(Event(96, "overhead", 1.04), Event(205, "overhead", 0.93),
                Event(318, "overhead", 1.025)),
        failing_from=362, failure="repeat 1: worker ended with SIGKILL: out of memory",
    ),
    Subject(
        benchmark=RESNET,
        stages={"read": 0.00009, "preprocess": 0.0041, "inference": 0.382, "postprocess": 0.00004,
                "overhead": 0.0024},
        noise=0.010, night_noise=0.006, batch=13.3, element_bytes=37_773, count=200, load=0.61,
        memory=2.21e9, threads=1, overrides=("threads=1",), every=2,
        events=(Event(288, "inference", 0.94),),
    ),
    Subject(
        benchmark=RESNET, runner="dataflow", profile="full", input_kind="user",
        stages={"read": 0.0021, "preprocess": 0.0087, "inference": 0.79, "postprocess": 0.0001,
                "overhead": 0.031},
        noise=0.018, night_noise=0.012, batch=47.0, element_bytes=109_000, count=50_000, load=2.4,
        memory=3.1e9, accuracy=0.772, workers=75, startup=195.0, repeats=1, every=14,
        events=(Event(205, "overhead", 0.7), Event(288, "inference", 0.95)),
    ),
    Subject(
        benchmark="pytorch-text-embedding-minilm",
        stages={"read": 0.00002, "preprocess": 0.00031, "inference": 0.0063,
                "postprocess": 0.00002, "overhead": 0.0006},
        noise=0.013, night_noise=0.007, batch=32.0, element_bytes=96, count=1000, load=0.19,
        memory=9.6e8, every=7, last=318,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """A side of a comparison that is made up: the time of stages, as factors of the base's."""

    variant: str
    settings: Mapping[str, str]
    factors: Mapping[Stage, float]


CANDIDATES = (
    Candidate("tuned-bf16", {"variant": "tuned-bf16"}, {"inference": 0.71}),
    Candidate("tuned-decode", {"variant": "tuned-decode"}, {"preprocess": 0.55, "read": 1.04}),
    Candidate("tuned-one-thread", {"variant": "tuned-one-thread"}, {"inference": 1.19}),
    Candidate("tuned-batched", {"variant": "tuned-batched"}, {"overhead": 1.01}),
)
