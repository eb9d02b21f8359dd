"""Each application's conditions as masses on sets of levers, by the groups in which the rules ask for them."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from domain import Procedure
from paperless.whatif.at_best import Procedures
from paperless.whatif.cases import COMPONENTS_BIT, DELIVERY_BIT, LEVEL_2_BIT, PAID_BIT, Codes, end_to_end
from paperless.whatif.comparisons import Rows, filing_codes, paper_codes, payment_codes, result_codes
from paperless.whatif.masses import Integers, Masses, moebius
from paperless.whatif.terms import Kind, Terms

# Each group of conditions: its first bit in a code, and how many bits it has.
GROUPS: Final = {
    "filing": (0, LEVEL_2_BIT + 1),
    "payment": (PAID_BIT, 1),
    "result": (DELIVERY_BIT, COMPONENTS_BIT - DELIVERY_BIT),
    "papers": (COMPONENTS_BIT, 5),
}


@cache
def ok_table(kind: Kind, group: str) -> NDArray[np.bool_]:
    """Return, by the group's bits, whether its conditions hold in a service of this kind that is fully offered.

    Raises:
        AssertionError: the rules do not ask each group for itself; they would need another transform.

    """
    whole = end_to_end(replace_offer(kind))
    parts = {name: _projected(whole, name) for name in GROUPS}
    together = np.ones_like(whole)
    for name, (first, bits) in GROUPS.items():
        together &= parts[name][np.arange(len(whole)) >> first & (1 << bits) - 1]
    assert (together == whole).all(), f"the rules join what {kind} asks of filing, fee, result and papers"  # noqa: S101
    return parts[group]


def replace_offer(kind: Kind) -> Kind:
    """Return the kind of a service that is offered end to end to people who need not appear."""
    return kind._replace(service_level="full", presence_required=False)


def _projected(whole: NDArray[np.bool_], group: str) -> NDArray[np.bool_]:
    first, bits = GROUPS[group]
    return np.asarray(whole.reshape(-1, 1 << bits, 1 << first).any(axis=(0, 2)))


Part = Callable[[Terms], object]
PARTS: Final[dict[str, Part]] = {
    "filing": lambda terms: (terms.kind, terms.filing),
    "payment": lambda terms: (terms.payment,),
    "result": lambda terms: (terms.result,),
    "papers": lambda terms: terms.papers,
}


def group_codes(group: str, rows: Rows, terms: Terms) -> Codes:
    """Return a group's bits of each application, which is taken to be filed online: else its filing does not hold."""
    online = np.ones(len(rows.columns["channel"]), dtype=bool)
    first, bits = GROUPS[group]
    codes = {
        "filing": lambda: filing_codes(rows, terms.filing),
        "payment": lambda: payment_codes(rows, terms.payment, online),
        "result": lambda: result_codes(rows, terms.result),
        "papers": lambda: paper_codes(rows, terms.papers, online),
    }[group]()
    return codes >> np.uint16(first) & np.uint16((1 << bits) - 1)


class Condition(NamedTuple):
    """Of a group: the masses of its distinct truth tables, and which of them each application has."""

    masses: tuple[Masses, ...]
    place: Integers


def condition(procedures: Procedures, procedure: Procedure, group: str, rows: Rows) -> Condition:
    """Return when a group's conditions hold, for each application of a procedure."""
    levers = procedures.concerned(procedure, PARTS[group])
    tables = np.zeros((len(rows.columns["channel"]), 1 << len(levers)), dtype=bool)
    for subset in range(1 << len(levers)):
        taken = tuple([lever for bit, lever in enumerate(levers) if subset >> bit & 1])
        terms = procedures.terms(procedure, taken)
        tables[:, subset] = ok_table(terms.kind, group)[group_codes(group, rows, terms)]
    packed = np.packbits(tables, axis=1)
    keys = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    return Condition(tuple([moebius(tables[row], levers) for row in first]), place.astype(np.int64))


def offered(procedures: Procedures, procedure: Procedure) -> Masses:
    """Return when a procedure is there, offered end to end, without anybody appearing."""
    levers = procedures.concerned(procedure, lambda terms: (terms.kind,))
    kinds = [
        procedures.terms(procedure, tuple([lever for bit, lever in enumerate(levers) if subset >> bit & 1])).kind
        for subset in range(1 << len(levers))
    ]
    masses = moebius(np.array([bool(end_to_end(kind).any()) for kind in kinds]), levers)
    for lever in procedures.removers(procedure):
        masses = masses.times(Masses(np.array([0, 1 << lever]), np.array([1, -1])))
    return masses


def masses_of(
    procedures: Procedures, procedure: Procedure, rows: Rows
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], Masses]]:
    """Yield provinces (by position), how many applications there, and their masses: one for each distinct case."""
    if not len(rows.columns["channel"]):
        return
    conditions = [condition(procedures, procedure, group, rows) for group in GROUPS]
    key = np.repeat(np.arange(len(rows.counts)), rows.counts)
    for each in conditions:
        key = key * len(each.masses) + each.place
    cases, counts = np.unique(key, return_counts=True)
    places = []
    for each in reversed(conditions):
        cases, place = np.divmod(cases, len(each.masses))
        places.append(place)
    offer, joint = offered(procedures, procedure), np.zeros(len(cases), dtype=np.int64)
    for place, each in zip(reversed(places), conditions, strict=True):
        joint = joint * len(each.masses) + place
    order = np.argsort(joint, kind="stable")
    starts = np.flatnonzero(np.diff(joint[order], prepend=-1))
    product = cache(lambda *chosen: _product(offer, conditions, chosen))
    for chosen in np.split(order, starts[1:]):
        masses = product(*[int(place[chosen[0]]) for place in reversed(places)])
        if len(masses.sets):
            yield cases[chosen], counts[chosen], masses


def _product(offer: Masses, conditions: Sequence[Condition], chosen: Sequence[int]) -> Masses:
    masses = offer
    for each, place in zip(conditions, chosen, strict=True):
        masses = masses.times(each.masses[place])
    return masses
