"""Measuring inside any runner. On a worker of a job, its versions are checked first."""

from beambench.instrumentation.versions import check_versions

check_versions()
