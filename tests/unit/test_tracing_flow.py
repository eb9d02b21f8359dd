"""One application is one trace, from its submission to the store, whatever happens to it on the way."""

import pytest
from opentelemetry.trace import StatusCode

from runtime.partition_state import RetryBudget
from services.vneid_mock.faults import FaultPlan
from services.vneid_mock.plan_files import named_plan
from tests.support.fakes_runtime import Stored
from tests.support.filings import Submitted, filed, submitted
from tests.support.traced_flow import (
    CORRECTED,
    DECIDED,
    PATIENCE_S,
    PROVIDED,
    REQUESTED,
    SUBMITTED,
    TracedFlow,
    name_of,
)

ONE, OTHER = (submitted(event) for event in filed(3)[:2])
CALM = named_plan("calm")

FILED = {("-", f"driver: send {SUBMITTED}"), (f"driver: send {SUBMITTED}", f"intake: process {SUBMITTED}")}
ASKED = {
    (f"intake: process {SUBMITTED}", f"intake: send {REQUESTED}"),
    (f"intake: send {REQUESTED}", f"vneid_mock: process {REQUESTED}"),
}
ANSWERED = {
    (f"vneid_mock: process {REQUESTED}", f"vneid_mock: send {PROVIDED}"),
    (f"vneid_mock: send {PROVIDED}", f"intake: process {PROVIDED}"),
}
OUTCOME = {(f"intake: process {PROVIDED}", f"intake: send {DECIDED}")}
# One of two databases lacks what it is asked for.
CORRECTION = {
    (f"intake: process {PROVIDED}", f"intake: send {CORRECTED}"),
    (f"intake: send {CORRECTED}", f"vneid_mock: process {CORRECTED}"),
}
STORED = {
    (f"intake: send {DECIDED}", f"scoring: process {DECIDED}"),
    ("scoring: process batch", "scoring: apply outcome"),
}
BATCHES = {("-", f"{service}: process batch") for service in ("intake", "vneid_mock", "scoring")}
PRESUMED = {
    (f"intake: process {SUBMITTED}", "intake: deadline"),
    ("intake: deadline", f"vneid_mock: process {REQUESTED}"),
    ("intake: deadline", "intake: deadline"),
    ("intake: deadline", f"intake: send {DECIDED}"),
}


def plan(**shares: float) -> FaultPlan:
    return FaultPlan.model_validate({"name": "drawn", **shares})


@pytest.fixture
def url(tmp_path) -> str:
    return f"sqlite:///{tmp_path / 'scoring.db'}"


def one_trace(flow: TracedFlow) -> bool:
    """Tell whether all but batches and their steps is one trace."""
    names = {name_of(span) for span in flow.spans()}
    return len(flow.traces(*[name for name in names if "batch" not in name and "apply" not in name])) == 1


async def test_an_application_is_one_trace_from_filing_to_the_store(url):
    flow = await TracedFlow(url, CALM).start()
    await flow.submit(ONE)
    await flow.play(flow.intake, flow.mock, flow.intake, flow.scoring)
    assert flow.edges() == FILED | ASKED | ANSWERED | OUTCOME | STORED | BATCHES
    assert one_trace(flow)


async def test_an_application_that_is_asked_for_again_stays_one_trace(url):
    flow = await TracedFlow(url, plan(late_answer_share=1.0)).start()
    await flow.submit(ONE)
    for _ in range(3):
        await flow.play(flow.intake, flow.mock)
    await flow.play(flow.intake, flow.scoring)
    again = {(f"intake: process {PROVIDED}", f"intake: send {REQUESTED}")}
    assert flow.edges() == FILED | ASKED | ANSWERED | again | OUTCOME | STORED | BATCHES
    assert one_trace(flow)


async def test_an_application_asked_for_again_on_silence_stays_one_trace(url):
    flow = await TracedFlow(url, CALM).start()
    await flow.submit(ONE)
    await flow.play(flow.intake)
    flow.clock.advance(PATIENCE_S)
    await flow.intake.tick()
    await flow.play(flow.mock, flow.intake, flow.scoring)
    silence = {
        (f"intake: process {SUBMITTED}", "intake: deadline"),
        ("intake: deadline", f"vneid_mock: process {REQUESTED}"),
    }
    assert flow.edges() == FILED | ASKED | silence | ANSWERED | OUTCOME | STORED | BATCHES
    assert one_trace(flow)


async def test_a_presumed_application_is_one_trace(url):
    flow = await TracedFlow(url, plan(silent_share=1.0)).start()
    await flow.submit(ONE)
    for _ in range(3):
        await flow.play(flow.intake, flow.mock)
        flow.clock.advance(PATIENCE_S)
        await flow.intake.tick()
    await flow.play(flow.scoring)
    assert flow.edges() == FILED | ASKED | PRESUMED | STORED | BATCHES
    assert one_trace(flow)


async def test_a_delayed_reply_stays_in_its_trace(url):
    flow = await TracedFlow(url, plan(slow_share=1.0, slow_delay_s=1.0, slow_delay_max_s=2.0)).start()
    await flow.submit(ONE)
    await flow.play(flow.intake, flow.mock)
    assert flow.log.all_of(PROVIDED) == []
    flow.clock.advance(2.0)
    await flow.mock.tick()
    await flow.play(flow.intake, flow.scoring)
    delayed = {
        (f"vneid_mock: process {REQUESTED}", "vneid_mock: deadline"),
        ("vneid_mock: deadline", f"vneid_mock: send {PROVIDED}"),
        (f"vneid_mock: send {PROVIDED}", f"intake: process {PROVIDED}"),
    }
    assert flow.edges() == FILED | ASKED | delayed | OUTCOME | STORED | BATCHES
    assert one_trace(flow)


async def test_an_application_read_again_after_a_restart_goes_on_with_its_trace(url):
    flow = await TracedFlow(url, CALM).start()
    await flow.submit(ONE)
    await flow.play(flow.intake)
    await flow.intake.restart()
    await flow.play(flow.intake, flow.mock, flow.intake, flow.scoring)
    assert flow.edges() == FILED | ASKED | ANSWERED | OUTCOME | STORED | BATCHES
    assert len(flow.named(f"intake: process {SUBMITTED}")) == 2
    assert len(flow.named(f"intake: send {DECIDED}")) == 2
    assert one_trace(flow)


async def test_an_application_filed_again_goes_on_with_its_trace(url):
    flow = await TracedFlow(url, CALM).start()
    await flow.submit(ONE)
    await flow.submit(ONE)
    assert len(flow.named(f"driver: send {SUBMITTED}")) == 2
    assert one_trace(flow)


async def test_two_applications_are_two_traces(url):
    flow = await TracedFlow(url, CALM).start()
    await flow.submit(ONE, OTHER)
    await flow.play(flow.intake, flow.mock, flow.intake, flow.scoring, flow.mock)
    assert flow.edges() == FILED | ASKED | ANSWERED | OUTCOME | CORRECTION | STORED | BATCHES
    assert len(flow.traces(f"scoring: process {DECIDED}")) == 2


async def test_a_batch_has_links_to_what_it_handles(url):
    flow = await TracedFlow(url, CALM).start()
    await flow.submit(ONE, OTHER)
    await flow.play(flow.intake)
    [batch] = flow.named("intake: process batch")
    sent = {span.context.span_id for span in flow.named(f"driver: send {SUBMITTED}") if span.context}
    assert {link.context.span_id for link in batch.links} == sent
    assert batch.context is not None
    assert batch.context.trace_id not in flow.traces(f"driver: send {SUBMITTED}")


async def test_a_mock_that_knows_no_traces_does_not_end_the_trace(url):
    flow = await TracedFlow(url, CALM, untraced=["vneid_mock"]).start()
    await flow.submit(ONE)
    await flow.play(flow.intake, flow.mock, flow.intake, flow.scoring)
    assert (f"intake: process {SUBMITTED}", f"intake: send {DECIDED}") in flow.edges()
    assert one_trace(flow)


async def test_nothing_is_recorded_of_an_application_that_is_not_sampled(url, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    flow = await TracedFlow(url, CALM).start()
    await flow.submit(ONE)
    await flow.play(flow.intake, flow.mock, flow.intake, flow.scoring)
    assert flow.spans() == []
    assert all(name != "traceparent" for record in flow.log.all_of(DECIDED) for name, _ in record.headers)
    assert len(flow.log.all_of(DECIDED)) == 1


async def test_a_share_of_applications_is_sampled_and_the_same_ones_each_time(url, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.3")
    chosen = []
    for _ in range(2):
        flow = await TracedFlow(url, CALM).start()
        await flow.submit(*[Submitted(b"application-%d" % number, b"{}") for number in range(1_000)])
        chosen.append({dict(span.attributes or {})["messaging.kafka.message.key"] for span in flow.spans()})
    assert chosen[0] == chosen[1]
    assert 230 < len(chosen[0]) < 370


@pytest.mark.parametrize("share", ["many", "", "1.5"])
async def test_a_share_that_is_none_traces_all_and_stops_nothing(url, monkeypatch, share):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", share)
    flow = await TracedFlow(url, CALM).start()
    await flow.submit(ONE)
    assert len(flow.named(f"driver: send {SUBMITTED}")) == 1


async def test_a_retry_without_budget_leaves_no_span_of_sending(url):
    flow = await TracedFlow(url, CALM).start()
    await flow.submit(ONE)
    await flow.play(flow.intake)
    flow.intake.runner.partitions[0]._budget = RetryBudget(share=0, per_s=0, burst=0)
    flow.clock.advance(PATIENCE_S)
    await flow.intake.tick()
    assert len(flow.log.all_of(REQUESTED)) == 1
    assert len(flow.named(f"intake: send {REQUESTED}")) == 1
    assert len(flow.named("intake: deadline")) == 1


async def test_a_dead_letter_keeps_its_trace_and_says_why(url):
    flow = await TracedFlow(url, CALM).start()
    await flow.submit(Submitted(ONE.key, b"[]"))
    await flow.play(flow.intake)
    [span] = flow.named(f"intake: process {SUBMITTED}")
    assert span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes or {})["error.type"] == "breaks_contract"
    [letter] = flow.log.all_of(f"{SUBMITTED}.dlq")
    assert dict(letter.headers)["traceparent"] == dict(flow.log.all_of(SUBMITTED)[0].headers)["traceparent"]


async def test_a_closed_application_leaves_nothing_behind(url):
    flow = await TracedFlow(url, plan(silent_share=0.5, late_answer_share=0.5)).start()
    await flow.submit(*[submitted(event) for event in filed(3)[:40]])
    state = flow.intake.runner.partitions[0]
    for _ in range(20):
        await flow.play(flow.intake, flow.mock)
        assert state.traces.keys() == set(state.pending)
        flow.clock.advance(PATIENCE_S)
        await flow.intake.tick()
    assert len(flow.log.all_of(DECIDED)) >= 40
    assert state.traces == {}
    assert flow.intake.runner.publisher.when_sent == []


async def test_nothing_personal_is_in_a_span(url):
    flow = await TracedFlow(url, plan(late_answer_share=0.5)).start()
    events = filed(3)[:20]
    await flow.submit(*[submitted(event) for event in events])
    for _ in range(3):
        await flow.play(flow.intake, flow.mock)
    await flow.play(flow.intake, flow.scoring)
    told = "".join(span.to_json() for span in flow.spans())
    assert told
    for event in events:
        assert event["application_id"] in told
        assert event["citizen_number"] not in told
        assert event["dossier_code"] not in told


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xff\xfe",
        None,
        b"00-0-0-01",
        b"00-" + b"0" * 32 + b"-" + b"1" * 16 + b"-01",
        b"ff-" + b"1" * 32 + b"-" + b"1" * 16 + b"-01",
        b"00-" + b"1" * 32 + b"-" + b"1" * 16 + b"-00",
        b"00-" + b"1" * 32 + b"-" + b"1" * 16 + b"-01-more",
        b"x" * 100_000,
    ],
)
async def test_a_malformed_header_is_as_good_as_none(url, header):
    flow = await TracedFlow(url, CALM).start()
    flow.log.append(SUBMITTED, 0, ONE.key, ONE.value, [("traceparent", header)])
    await flow.play(flow.intake, flow.mock, flow.intake, flow.scoring)
    assert flow.spans() == []
    assert isinstance(flow.log.all_of(DECIDED)[0], Stored)
    assert flow.log.all_of(f"{SUBMITTED}.dlq") == []
