"""What brokers may do wrong to a request."""

from dataclasses import dataclass

from tests.cluster.wire import Request


@dataclass(slots=True, kw_only=True)
class Fault:
    """What brokers do wrong to a share of the requests of some kinds, from some processes, at some brokers.

    Attributes:
        effect: `request lost` and `answer lost` reset the connection before or after the effect; `never answered` keeps
            it; `late` and `answer late` take `delay_s` before or after the effect; `error` answers with `code`.

    """

    effect: str
    share: float = 1.0
    kinds: frozenset[str] | None = None
    host: str | None = None
    processes: frozenset[str] | None = None
    delay_s: float = 0.0
    code: int = 0
    met: int = 0

    def applies(self, request: Request, host: str, process: str) -> bool:
        """Tell whether a request may meet it."""
        return (
            (self.kinds is None or request.kind in self.kinds)
            and (self.host is None or self.host == host)
            and (self.processes is None or process in self.processes)
        )
