"""The case of an application, packed into the bits of a code, and what intake's own rules say of it."""

from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from contracts.events import Channel, Outcome, ResultDelivery
from paperless.whatif.terms import Kind
from services.intake.rules import LEVEL_2, RULES, Case, judge

# A case's fields in the bits of a code; what is the same for a procedure's applications is its kind.
CHANNELS: Final[tuple[Channel, ...]] = ("online", "post", "direct")
DELIVERIES: Final[tuple[ResultDelivery, ...]] = ("electronic", "post", "counter")
COMPONENT_FLAGS: Final = ("unanswered", "on_paper", "original", "irreplaceable", "asked_anyway")
LEVEL_2_BIT, PAID_BIT, DELIVERY_BIT, ELECTRONIC_BIT, COMPONENTS_BIT = 2, 3, 4, 6, 7
CODES: Final = 1 << COMPONENTS_BIT + len(COMPONENT_FLAGS)
# The bits of each group of conditions.
FILING, PAYMENT = 0b111, 1 << PAID_BIT
RESULT = 0b111 << DELIVERY_BIT
PAPERS = CODES - (1 << COMPONENTS_BIT)

Codes: TypeAlias = NDArray[np.uint16]
Judgement = tuple[Outcome, tuple[str, ...]]


def case(kind: Kind, code: int) -> Case:
    """Return the case of a code; an application that is refused at filing has no components."""
    channel = CHANNELS[min(code & 0b11, len(CHANNELS) - 1)]
    level = LEVEL_2 if code >> LEVEL_2_BIT & 1 else LEVEL_2 - 1
    at_filing = Case(channel, level, kind.service_level)
    refused = any(rule.at_filing and rule.applies(at_filing) for rule in RULES)
    components = 0 if refused else code >> COMPONENTS_BIT
    unanswered, on_paper, original, irreplaceable, asked_anyway = [
        bool(components >> bit & 1) for bit in range(len(COMPONENT_FLAGS))
    ]
    # No day is drawn on which complete dossiers end without a result.
    return Case(
        channel,
        level,
        kind.service_level,
        kind.presence_required,
        kind.fee_due,
        bool(code >> PAID_BIT & 1),
        kind.electronic_result_due,
        bool(code >> ELECTRONIC_BIT & 1),
        DELIVERIES[min(code >> DELIVERY_BIT & 0b11, len(DELIVERIES) - 1)],
        unanswered,
        on_paper,
        original,
        irreplaceable,
        asked_anyway,
    )


@lru_cache(maxsize=1 << 18)
def judgement(kind: Kind, code: int) -> Judgement:
    """Return what intake's rules say of a case."""
    return judge(case(kind, code))


@lru_cache(maxsize=256)
def end_to_end(kind: Kind) -> NDArray[np.bool_]:
    """Return, by code, whether a case ends end to end."""
    return np.array([not any(rule.applies(case(kind, code)) for rule in RULES) for code in range(CODES)])
