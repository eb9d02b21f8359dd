"""The context: whole, opaque to others, tied to its application."""

from datetime import timedelta
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import DocumentsRequested
from domain import load_domain
from services.intake import context as module
from services.intake.context import (
    CONTEXT_VERSION,
    LINKED_VERSION,
    ContextError,
    SubmissionFacts,
    facts_of,
    seal,
    unseal,
)
from tests.support.intake_examples import APPLICATION_ID, submission
from tests.support.intake_strategies import digests, keys, submissions

KEY = b"an intake's key"
OTHER_ID = "01999e5b-8e80-7000-8000-000000000002"


def facts() -> SubmissionFacts:
    return facts_of(submission(fee_paid_online=True), "0123456789abcdef")


@given(submitted=submissions(), digest=digests, key=keys)
def test_a_context_gives_back_what_was_sealed(submitted, digest, key):
    sealed = facts_of(submitted, digest)
    assert unseal(seal(sealed, key), sealed.application_id, key) == sealed


@given(submitted=submissions(), digest=digests)
def test_a_context_carries_no_citizen_number(submitted, digest):
    assert submitted.citizen_number not in seal(facts_of(submitted, digest), KEY)


def test_the_largest_context_fits_its_field():
    procedures = load_domain().procedures.values()
    largest = max(procedures, key=lambda procedure: sum(map(len, procedure.components)))
    components = dict.fromkeys(largest.components, "upload")
    submitted = submission(
        procedure=largest.code, components=components, supplement_minutes=120_000, handling_minutes=120_000
    )
    limit = next(
        constraint.max_length
        for constraint in DocumentsRequested.model_fields["context"].metadata
        if hasattr(constraint, "max_length")
    )
    assert len(seal(facts_of(submitted, "f" * 16), KEY)) < limit / 4


@given(data=st.data(), letter=st.characters(codec="utf-8"))
def test_any_changed_letter_is_refused(data, letter):
    context = seal(facts(), KEY)
    place = data.draw(st.integers(0, len(context) - 1))
    changed = context[:place] + letter + context[place + 1 :]
    if changed == context:
        return
    with pytest.raises(ContextError, match="the digest does not match"):
        unseal(changed, APPLICATION_ID, KEY)


@given(context=st.text(max_size=200))
def test_any_other_text_is_refused(context):
    with pytest.raises(ContextError, match="was not sealed by this intake for this application"):
        unseal(context, APPLICATION_ID, KEY)


@given(cut=st.integers(1, 40))
def test_a_shortened_context_is_refused(cut):
    with pytest.raises(ContextError):
        unseal(seal(facts(), KEY)[:-cut], APPLICATION_ID, KEY)


def test_a_context_moved_to_another_application_is_refused():
    with pytest.raises(ContextError):
        unseal(seal(facts(), KEY), OTHER_ID, KEY)


def test_a_context_of_another_key_is_refused():
    with pytest.raises(ContextError):
        unseal(seal(facts(), b"another key"), APPLICATION_ID, KEY)


def test_every_fact_is_covered_by_the_digest():
    sealed = facts()
    others = sealed._replace(
        submission="fedcba9876543210",
        submitted_at=sealed.submitted_at + timedelta(microseconds=1),
        province="04",
        commune="01273",
        procedure="1.000656",
        authority="ministry",
        channel="post",
        account_level=1,
        assisted=True,
        fee_paid_online=False,
        electronic_result=False,
        result_delivery="counter",
        asks_anyway=True,
        asks_again=True,
        supplement_minutes=1,
        handling_minutes=1,
        components=(("giay_chung_sinh", "paper"),),
        asks_twice=True,
        ending="withdrawn",
        parts=(("khai_sinh", 60),),
    )
    for name in set(SubmissionFacts._fields) - {"application_id"}:
        changed = sealed._replace(**{name: getattr(others, name)})
        assert changed != sealed
        assert seal(changed, KEY) != seal(sealed, KEY), name


def sealed_as(body: str) -> str:
    return f"{body}.{blake2b(f'{APPLICATION_ID}|{body}'.encode(), key=KEY, digest_size=8).hexdigest()}"


def test_the_previous_versions_context_stays_readable():
    """As version 1 wrote it: it ends with the flag of the paper taken, and nobody was asked again."""
    components = "giay_chung_sinh=u;giay_to_tuy_than=u"
    body = f"1,0123456789abcdef,2025-10-01T09:00:00+07:00,01,00004,1.001193,po2011e0,480,60,{components}"
    context = sealed_as(body)
    assert unseal(context, APPLICATION_ID, KEY) == facts()


def test_a_version_is_read_by_its_own_reader(monkeypatch):
    monkeypatch.setattr(module, "CONTEXT_VERSION", "0")
    context = seal(facts(), KEY)
    with pytest.raises(ContextError, match=rf"version '0' is not readable \(readable: 1, {CONTEXT_VERSION}, 3, 4\)"):
        unseal(context, APPLICATION_ID, KEY)
    older = facts()._replace(assisted=True)
    monkeypatch.setattr(module, "_READERS", {**module._READERS, "0": lambda body, application_id: older})
    assert unseal(context, APPLICATION_ID, KEY) == older


def test_a_linked_service_has_a_version_that_an_older_member_refuses():
    linked = facts()._replace(parts=(("khai_sinh", 60), ("thuong_tru", 960)))
    context = seal(linked, KEY)
    assert context.startswith(f"{LINKED_VERSION},")
    assert unseal(context, APPLICATION_ID, KEY) == linked


@pytest.mark.parametrize(("asks_twice", "ending"), [(True, None), (False, "withdrawn"), (True, "refused")])
def test_what_is_unusual_has_a_version_that_an_older_member_refuses(asks_twice, ending):
    unusual = facts()._replace(asks_twice=asks_twice, ending=ending)
    context = seal(unusual, KEY)
    assert (context[0], seal(facts(), KEY)[0]) == ("3", "2")
    assert unseal(context, APPLICATION_ID, KEY) == unusual
