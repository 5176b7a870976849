"""BigQuery: what is known of it without its client."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from beambench.definition.publishers import Publisher, Requirement
from beambench.definition.section import Project, Section

TableName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,200}$")]


class BigQueryTarget(Section):
    """Beam's rows go into `table`; beambench's own into beambench_runs and beambench_metrics."""

    project: Project | None = Field(None, description="null: that of the platform's credentials.")
    dataset: TableName | None = Field(None, description="null: beam_run_inference.")
    table: TableName | None = Field(None, description="null: the benchmark's name.")
    location: TableName | None = Field(
        None, description="Of a dataset that is made; null: the server's."
    )


BIGQUERY = Publisher(
    name="bigquery",
    settings=BigQueryTarget,
    client="beambench.publishers.bigquery.client:BigQuery",
    requirement=Requirement(
        "google.cloud.bigquery", "google-cloud-bigquery", "beambench[bigquery]"
    ),
    # A dot in a name of BigQuery's could name another project.
    portable_settings={
        "dataset": re.compile(r"[A-Za-z0-9_]+"),
        "table": re.compile(r"[A-Za-z0-9_-]+"),
    },
    has_history=True,
)
