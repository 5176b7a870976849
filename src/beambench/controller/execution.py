"""The repeats of a run so far: numbered, verified, paired and made to metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from beambench.controller.metric_values import MetricValues, of_pairs, of_run
from beambench.controller.proof.verification import is_accounted_for, run_level, verification
from beambench.controller.repeats import ArmName, make_repeat, metrics_of
from beambench.controller.results import TaskResult
from beambench.machine.noise import summarise
from beambench.record.observation import Observation
from beambench.record.run_record import Metrics, Repeat, RunNoise, Verification

LOOPS: tuple[ArmName, ...] = ("loop", "ceiling")


@dataclass
class Execution:
    """The repeats of a run so far, with the raw observations behind them.

    Attributes:
        rounded: the model computes in less than float32.
        observations: of the repeats of the pipeline that count.
        reference: the sample through the bare loop.
        stock: the same as `stock` runs it, for a variant whose model computes otherwise.
        first: the first execution of which all elements are accounted for.
        unknown: why metrics of each repeat have no value, where that is to be said.
        warnings: of who carried out the repeats.
    """

    max_failed: float
    rounded: bool = False
    reference: Observation | None = None
    stock: Observation | None = None
    first: Observation | None = None
    repeats: list[Repeat] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    references: list[Repeat] = field(default_factory=list)
    unknown: list[Mapping[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, arm: ArmName, result: TaskResult) -> Repeat:
        """Add one executed repeat; return it as it stands in the record."""
        known = self.repeats if arm == "pipeline" else self.references
        index = sum(1 for repeat in known if repeat.arm == arm)
        observation = result.observation
        proven = self._verified(observation) if observation is not None else None
        metrics, unknown = metrics_of(result, proven)
        repeat = make_repeat(arm, index, result, proven, self.max_failed, metrics)
        known.append(repeat)
        self.unknown.append(unknown)
        self.warnings += result.warnings
        if arm == "pipeline" and repeat.status == "succeeded" and result.observation is not None:
            self.observations.append(result.observation)
        return repeat

    def exclude(self, arm: ArmName, index: int, reason: str) -> None:
        """Leave a repeat out of the values of the run; it stays in the record, with the reason."""
        known = self.repeats if arm == "pipeline" else self.references
        at = [(repeat.arm, repeat.index) for repeat in known].index((arm, index))
        if arm == "pipeline" and known[at].counts:
            del self.observations[sum(1 for repeat in known[:at] if repeat.counts)]
        known[at] = known[at].model_copy(update={"excluded": reason})

    def _verified(self, observation: Observation) -> Verification | None:
        """Verify a repeat; the first of which nothing is missing is what later ones must equal."""
        proven = verification(
            observation, self.reference, self.stock, rounded=self.rounded, first=self.first
        )
        if self.first is None and proven is not None and is_accounted_for(observation):
            self.first = observation
        return proven

    def batch_sizes(self) -> list[int]:
        """Batch sizes of the last pipeline repeat, for the loop to replay."""
        done = [repeat.batch_sizes for repeat in self.repeats if repeat.status == "succeeded"]
        return done[-1] if done else []

    def pairs(self, arm: ArmName) -> list[tuple[Repeat, Repeat]]:
        """Return the n-th pipeline repeat with the n-th of the other arm, where both count."""
        return counted_pairs(self.repeats, self.references, arm)

    def metrics(self) -> Metrics:
        """Compute the metrics of the run."""
        return self.metric_values().values

    def metric_values(self) -> MetricValues:
        """Compute the metrics of the run, and why some have no value."""
        combined = of_run(self.repeats, self.observations)
        if not self.is_single_threaded():
            return combined
        pairs = of_pairs({arm: self.pairs(arm) for arm in LOOPS})
        return MetricValues(combined.values | pairs.values, {**combined.unknown, **pairs.unknown})

    def is_single_threaded(self) -> bool:
        """Tell whether the pipeline had one thread, as the loop has; else they are no pair."""
        return all(
            observation.measured is None or observation.measured.threads == 1
            for observation in self.observations
        )

    def verification(self) -> Verification:
        return run_level(
            [repeat.verification for repeat in self.repeats if repeat.verification is not None],
            [
                (f"{repeat.arm} repeat {repeat.index + 1}", repeat.verification)
                for repeat in self.references
                if repeat.verification is not None
            ],
        )

    def noise(self) -> RunNoise:
        every = [*self.repeats, *self.references]
        counted = [repeat for repeat in self.repeats if repeat.counts]
        return RunNoise(
            **summarise([repeat.noise for repeat in every]),
            excluded_repeats=[at for at, repeat in enumerate(every) if repeat.excluded is not None],
            counted_repeats=len(counted),
            counted_disturbed=sum(repeat.is_disturbed for repeat in counted),
        )


def counted_pairs(
    repeats: Sequence[Repeat], references: Sequence[Repeat], arm: str
) -> list[tuple[Repeat, Repeat]]:
    """Return the n-th repeat of the pipeline with the n-th of a loop, where both count."""
    others = [repeat for repeat in references if repeat.arm == arm]
    pairs = zip(repeats, others, strict=False)
    return [(pipeline, other) for pipeline, other in pairs if pipeline.counts and other.counts]
