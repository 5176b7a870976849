"""beambench: benchmarks for machine-learning inference in Apache Beam pipelines."""

__version__ = "0.1.0"
