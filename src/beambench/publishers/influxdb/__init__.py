"""InfluxDB: what is known of it without its client."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from beambench.definition.publishers import Publisher, Requirement
from beambench.definition.section import Section

Measurement = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$")]
Address = Annotated[str, Field(pattern=r"^https?://[^@?#\s]+$")]


class InfluxTarget(Section):
    """Beam's rows go into `measurement`; credentials come from the environment only."""

    url: Address | None = Field(None, description="Without user and password; null: INFLUXDB_URL.")
    database: str | None = Field(None, description="null: INFLUXDB_DATABASE.")
    user: str | None = Field(None, description="null: INFLUXDB_USER.")
    measurement: Measurement | None = Field(None, description="null: the benchmark's name.")


INFLUXDB = Publisher(
    name="influxdb",
    settings=InfluxTarget,
    client="beambench.publishers.influxdb.client:InfluxDB",
    requirement=Requirement("requests", "requests", "beambench[influxdb]"),
    portable_settings={"measurement": re.compile(r"[A-Za-z0-9_.-]+")},
    has_history=True,
)
