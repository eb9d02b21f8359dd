"""How a plan reaches a running system: one port, whose implementations know processes or containers."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from paperless.chaos.plan import Fault


class ChaosError(RuntimeError):
    """Faults cannot be planned, or not carried out on this system; says which and what to do."""


class FaultPort(Protocol):
    """Carries faults out."""

    @property
    def joined(self) -> Mapping[str, str]:
        """The health URLs, by name, of members that faults have added just now."""

    def hold(self, fault: Fault) -> AbstractAsyncContextManager[None]:
        """Return a context in which the fault lasts; however it is left, nothing of the fault stays.

        Raises:
            ChaosError: on entering or leaving, when the fault cannot be carried out or ended.

        """
