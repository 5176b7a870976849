"""Measuring inside any runner. On a worker of a job, its versions are checked first."""

import sys

# Without Beam there is no job, and what measures nothing of Beam's loads in milliseconds.
if "apache_beam" in sys.modules:
    from beambench.instrumentation.versions import check_versions

    check_versions()
