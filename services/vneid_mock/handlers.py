"""The mock's handlers: a request comes in, replies go out now or later. Pending records are the schedule."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from contracts.events import CorrectionRequested, DocumentsRequested
from contracts.records import decode_event, header_maker, key_partitions
from contracts.topics import CORRECTIONS_REQUESTED, DOCUMENTS_PROVIDED
from runtime.messages import NOTHING, Effects, HandlerResult, Message, PendingRecord, Record, State
from runtime.metrics import Tally
from services.vneid_mock.control import PlanState
from services.vneid_mock.core import Vneid, respond
from services.vneid_mock.registry import AT_ONCE, Registry

# A scheduled reply: its record's key and value, its event id, and the seconds until each copy.
Scheduled = tuple[bytes, bytes, str, *tuple[float, ...]]


class VneidHandlers:
    """The `RecordHandler` of the mock.

    A scheduled reply keeps its request open, so the commit trails it and a delayed reply survives the mock's death; it
    is scheduled anew when its request is read again.

    Args:
        registry: what the databases know.
        plan: the plan in force, read once per record.
        partitions: the partition count of the log.
        tally: returns the amounts of a counter by label values; metrics, no decisions.

    """

    def __init__(
        self,
        registry: Registry,
        plan: PlanState,
        *,
        partitions: int,
        tally: Callable[[str], Tally] = lambda _: defaultdict(float),
    ) -> None:
        self._registry, self._plan, self._partitions = registry, plan, partitions
        self._key_partitions: dict[bytes | None, int] = {}
        self._replies, self._look_ups = tally("replies_total"), tally("look_ups_total")
        self._corrections = tally("corrections_total")
        self._provided = header_maker("/services/vneid_mock", DOCUMENTS_PROVIDED.event_type)

    def look_ahead(self, records: Sequence[Record]) -> None:
        """Place the keys of a batch, a quarter as dear as each by itself; without this they are placed one by one."""
        self._key_partitions = key_partitions(records, self._partitions)

    def on_record(self, record: Record, pending: Mapping[bytes, State]) -> HandlerResult:  # noqa: ARG002  `RecordHandler`
        """Return the replies to one request: none, one or more, at once or scheduled."""
        key_partition = self._key_partitions.get(record.key)
        if record.topic == CORRECTIONS_REQUESTED.name:
            correction = decode_event(record, CorrectionRequested, self._partitions, key_partition=key_partition)
            return self._on_correction(correction)
        request = decode_event(record, DocumentsRequested, self._partitions, key_partition=key_partition)
        value, delays, look_ups = respond(request, Vneid(self._registry, self._plan.plan, self._plan.seed))
        for look_up in look_ups:
            self._look_ups[look_up] += 1
        if not delays:
            self._replies[("silent",)] += 1
            return NOTHING
        key = request.application_id.encode()
        event_id = f"{request.application_id}/provided/{request.attempt}"
        if delays == AT_ONCE:
            return self._reply(key, value, event_id)
        now = tuple([self._reply(key, value, event_id) for delay in delays if delay <= 0])
        later = [delay for delay in delays if delay > 0]
        if not later:
            return Effects(publish=now)
        self._replies[("scheduled",)] += 1
        return Effects(publish=now, open=_scheduled(record.offset, key, value, event_id, sorted(later)))

    def _on_correction(self, request: CorrectionRequested) -> Effects:
        """Take note of what an owner is asked to correct; when it has done so, the request says itself.

        Raises:
            Reject: `unknown_database`.

        """
        self._registry.check_database(request.database)
        self._corrections[request.database, request.answer] += 1
        return NOTHING

    def on_deadline(self, key: bytes, state: State) -> Effects:
        """Send a scheduled reply, and schedule the next one of the same request."""
        reply_key, value, event_id, *delays = cast("Scheduled", state)
        publish = (self._reply(reply_key, value, event_id),)
        if len(delays) == 1:
            return Effects(publish=publish, close=key)
        gaps = [delay - delays[0] for delay in delays[1:]]
        return Effects(publish=publish, rearm=PendingRecord(key, gaps[0], (reply_key, value, event_id, *gaps)))

    def _reply(self, key: bytes, value: bytes, event_id: str) -> Message:
        self._replies[("sent",)] += 1
        return (DOCUMENTS_PROVIDED.name, key, value, self._provided(event_id))


def _scheduled(offset: int, key: bytes, value: bytes, event_id: str, delays: list[float]) -> PendingRecord:
    return PendingRecord(str(offset).encode(), delays[0], (key, value, event_id, *delays))
