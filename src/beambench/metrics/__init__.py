"""Every metric in one place: what it is called, how it is computed, and where it is shown."""

from beambench.metrics.base import Metric, RawRepeat, Sample

__all__ = ["Metric", "RawRepeat", "Sample"]
