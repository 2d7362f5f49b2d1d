"""Telling the pages of a tenant how its job goes: at each step's start and end, now and then between, when it stops."""

import time
from uuid import UUID

from fatfire.kit import clock
from services.messaging.operations import nudge

EVERY_S = 1.0
"""Between two nudges about one step's progress."""


class Nudges:
    """The nudges about one job, while a step of it runs here."""

    def __init__(self, job_id: UUID, tenant_id: UUID | None) -> None:
        """Begin; of the platform's jobs no tenant is told."""
        self._job_id, self._tenant_id = job_id, tenant_id
        self._last = -EVERY_S

    def send(self) -> None:
        """Tell that the job has changed. No transaction is open."""
        self._last = time.monotonic()
        if self._tenant_id is not None:
            nudge(tenant_id=self._tenant_id, message={"job": str(self._job_id)}, at=clock.now())

    def send_now_and_then(self) -> None:
        """Tell that it goes on, unless that was told a moment ago."""
        if time.monotonic() - self._last >= EVERY_S:
            self.send()
