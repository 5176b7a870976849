"""The one place that assembles a Beam pipeline from a workload: source | body | proof | sinks."""
