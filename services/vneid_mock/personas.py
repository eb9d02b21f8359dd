"""Citizens with a promised outcome, shared by the demo, the tests and the README.

No province has the prefix 999, so no real or generated citizen number meets one. A persona is exempt from the fault
plan: what its sentence says happens under every plan and seed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

AT_ONCE: tuple[float, ...] = (0.0,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """One promised outcome.

    `answer` is what every database says of every document. `answers_from` is the attempt from which the components are
    answered (None: never), `last_answers_from` that of the last component by position. `replies` holds, per attempt,
    the delays in seconds of wall time after which the reply is sent; its last entry repeats for all later attempts.
    """

    name: str
    sentence: str
    answer: Literal["found", "missing", "mismatch"] = "found"
    answers_from: int | None = 1
    last_answers_from: int | None = 1
    replies: tuple[tuple[float, ...], ...] = (AT_ONCE,)

    def delays(self, attempt: int) -> tuple[float, ...]:
        """Seconds of wall time until each reply to this attempt (counted from 1); empty means silence."""
        return self.replies[min(attempt, len(self.replies)) - 1]


PERSONAS: Mapping[str, Persona] = {
    "999099000001": Persona(
        name="all_documents_found",
        sentence="Every database has matching data, at the first attempt.",
    ),
    "999099000002": Persona(
        name="all_missing",
        sentence="No database knows any document of this citizen.",
        answer="missing",
    ),
    "999099000003": Persona(
        name="record_mismatch",
        sentence="Every database has a record, and none matches the application.",
        answer="mismatch",
    ),
    "999099000004": Persona(
        name="found_from_the_second_attempt",
        sentence="The first reply has no answer; from the second attempt everything is found.",
        answers_from=2,
        last_answers_from=2,
    ),
    "999099000005": Persona(
        name="found_from_the_third_attempt",
        sentence="Two replies have no answer; from the third attempt everything is found.",
        answers_from=3,
        last_answers_from=3,
    ),
    "999099000006": Persona(
        name="never_answers",
        sentence="Every reply has no answer: the databases stay unreachable for ever.",
        answers_from=None,
        last_answers_from=None,
    ),
    "999099000007": Persona(
        name="slow_answer",
        sentence="Everything is found, and each reply is sent three seconds late.",
        replies=((3.0,),),
    ),
    "999099000008": Persona(
        name="duplicate_reply",
        sentence="Everything is found, and each reply is sent twice, the second 0.4 s after the first.",
        replies=((0.0, 0.4),),
    ),
    "999099000009": Persona(
        name="partial_first",
        sentence="The first reply lacks the last component (the only one, if there is one); the second has everything.",
        last_answers_from=2,
    ),
    "999099000010": Persona(
        name="silent_at_first",
        sentence="The first attempt gets no reply at all; from the second everything is found.",
        replies=((), AT_ONCE),
    ),
}


def number_of(name: str) -> str:
    """Return the citizen number of a persona.

    Raises:
        KeyError: no persona has this name; the message lists the known ones.

    """
    for number, persona in PERSONAS.items():
        if persona.name == name:
            return number
    known = ", ".join(persona.name for persona in PERSONAS.values())
    raise KeyError(f"no persona {name!r} (known: {known})")
