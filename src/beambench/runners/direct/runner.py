"""What is known of the direct runner, and what it needs here."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from beambench.definition.runners import Runner
from beambench.errors import RunError
from beambench.machine.devices import cuda_devices

if TYPE_CHECKING:
    from beambench.request.benchmark import RunRequest

DIRECT = Runner(
    name="direct",
    beam_name="DirectRunner",
    pipeline="beambench.runners.direct.beam.pipeline:run",
    existing="beambench.runners.direct.beam.existing_task:run_existing",
    is_local=True,
    request_check="beambench.runners.direct.runner:check_device",
    doctor="beambench.runners.direct.runner:doctor",
    cost="projection",
)


def check_device(request: RunRequest) -> None:
    """Check that this machine has the device that the model runs on."""
    if request.resolved.definition.model.device == "gpu":
        devices = cuda_devices()
        if not devices.count:
            raise RunError(f"{request.name} needs a GPU: {devices.reason}")


def doctor() -> tuple[bool, str]:
    """Look for Beam, which is all that it needs; nothing is imported."""
    if importlib.util.find_spec("apache_beam") is None:
        return False, "apache-beam is missing"
    return True, "FnApiRunner in the worker's own process"
