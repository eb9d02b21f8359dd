"""`python -m examples.stock_check`: asks for every order whether it is in stock; settings come from `STOCK_*`."""

import sys
from collections.abc import Mapping

from pydantic_settings import SettingsConfigDict

from contracts.errors import Reject
from runtime.logs import configure
from runtime.messages import NOTHING, Effects, HandlerResult, Message, PendingRecord, Record, State
from runtime.metrics import KERNEL_METRICS
from runtime.partition_state import PendingOptions
from runtime.process import Shutdown, build_app, serve
from runtime.processor import StreamProcessor
from runtime.resources import ProcessResources
from runtime.settings import ServiceSettings

ORDERS, QUESTIONS, ANSWERS, RESULTS = TOPICS = ("orders", "stock.questions", "stock.answers", "stock.results")
PARTITIONS, ATTEMPTS = 2, 3


class StockSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="STOCK_", frozen=True, extra="forbid")
    group_id: str = "stock-check"
    patience_s: float = 2.0


class StockHandlers:
    """A question for each order, two more on silence, then the result `unknown`; every key is an order's number."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s

    def on_record(self, record: Record, pending: Mapping[bytes, State]) -> HandlerResult:
        """Return what an order or an answer causes: a question, or the result."""
        if record.key is None:
            raise Reject("no_key", "key: the order's number is missing")
        if record.topic == ORDERS:
            return NOTHING if record.key in pending else self._ask(record.key, 1)
        if record.value not in {b"yes", b"no"}:
            raise Reject("no_answer", "value: neither yes nor no")
        return Effects(((RESULTS, record.key, record.value, []),), close=record.key)

    def on_deadline(self, key: bytes, state: State) -> Effects:
        """Return what silence causes: the same question again, or the result without an answer."""
        attempt = int(str(state[0]))
        if attempt == ATTEMPTS:
            return Effects(((RESULTS, key, b"unknown", []),), close=key)
        asked = self._ask(key, attempt + 1)
        return asked._replace(open=None, rearm=asked.open, retry=True)

    def _ask(self, key: bytes, attempt: int) -> Effects:
        question: Message = (QUESTIONS, key, f"in stock? {attempt}".encode(), [])
        return Effects((question,), open=PendingRecord(key, self._patience_s, (attempt,)))


def main() -> int:
    """Run one member of the group until a signal; return the exit code."""
    settings, shutdown = StockSettings(), Shutdown()
    configure("stock_check", settings.log_level)
    resources = ProcessResources.of("stock_check", settings, KERNEL_METRICS, shutdown.request)
    kernel = StreamProcessor(
        StockHandlers(settings.patience_s),
        resources,
        topics=[ORDERS, ANSWERS],
        pending=PendingOptions(opens=ORDERS, answered_on=ANSWERS),
        dead_letter_topic=lambda topic: f"{topic}.dlq",
    )
    app = build_app(kernel, resources, topics=TOPICS, partitions=PARTITIONS)
    return serve(app, settings, shutdown, kernel)


if __name__ == "__main__":
    sys.exit(main())
