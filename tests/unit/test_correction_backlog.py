"""The backlog of the owners of databases: counted once, up to a day, in whatever order the log has the requests."""

from datetime import date, datetime

from contracts.events import Addressee
from contracts.records import partition_of
from domain import VN
from paperless.cli.corrections import backlog_json
from paperless.verification.correction_backlog import CorrectionLog, OwnerBacklog, total
from paperless.verification.positions import LoggedRecord
from services.intake.corrections import Correction, Wrong

PARTITIONS = 3


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2025-{text}").replace(tzinfo=VN)


def request(
    number: int, database: str, asked: str, off: str, *, answer: Wrong = "missing", citizen: bool = False
) -> LoggedRecord:
    application_id = f"0199bf9f-4fe8-7999-8999-{number:012d}"
    addressees: tuple[Addressee, ...] = ("owner", "citizen") if citizen else ("owner",)
    one = Correction(
        application_id,
        "0" * 16,
        "giay_bao_tu",
        "1.000656",
        "01",
        database,
        answer,
        addressees,
        at(asked),
        at(off),
    )
    key = application_id.encode()
    return LoggedRecord(partition_of(key, PARTITIONS), number, key, one.to_json())


REQUESTS = [
    request(1, "y_te", "10-01T09:00", "10-24T10:00"),
    request(2, "y_te", "10-08T09:00", "10-31T17:00", answer="mismatch"),
    request(3, "dat_dai", "10-08T10:00", "11-03T08:30", answer="mismatch", citizen=True),
    request(4, "y_te", "11-03T09:00", "12-01T09:00"),
]


def log_of(records: list[LoggedRecord]) -> CorrectionLog:
    log = CorrectionLog(PARTITIONS)
    log.add(records)
    return log


def test_the_backlog_of_a_day_is_what_is_asked_and_not_worked_off():
    log = log_of(REQUESTS)
    assert (
        log.backlogs(date(2025, 10, 30))
        == [
            OwnerBacklog("dat_dai", 1, 0, 1, 1, 0, 1, at("10-08T10:00")),
            OwnerBacklog("y_te", 2, 1, 1, 0, 1, 1, at("10-08T09:00")),
        ][::-1]
    )
    assert log.backlogs(date(2025, 10, 31)) == [
        OwnerBacklog("dat_dai", 1, 0, 1, 1, 0, 1, at("10-08T10:00")),
        OwnerBacklog("y_te", 2, 1, 1, 0, 2, 0, None),
    ]
    assert log.backlogs(date(2025, 12, 31))[0] == OwnerBacklog("y_te", 3, 2, 1, 0, 3, 0, None)
    assert log.backlogs(date(2025, 9, 30)) == []


def test_a_repeat_counts_once_in_whatever_order():
    usual = log_of(REQUESTS).backlogs(date(2025, 10, 31))
    log = log_of([*REQUESTS[::-1], *REQUESTS])
    assert log.backlogs(date(2025, 10, 31)) == usual
    assert log.last_day() == date(2025, 11, 3)


def test_what_breaks_the_contract_asks_for_nothing():
    broken = [REQUESTS[0]._replace(value=value) for value in (None, b"{", b"{}")]
    log = log_of([*broken, REQUESTS[0]._replace(key=b"another")])
    assert (log.last_day(), log.backlogs(date(2025, 12, 31))) == (None, [])


def test_the_sum_is_over_all_owners():
    rows = log_of(REQUESTS).backlogs(date(2025, 11, 3))
    assert total(rows) == OwnerBacklog("all", 4, 2, 2, 1, 3, 1, at("11-03T09:00"))
    assert total([]) == OwnerBacklog("all", 0, 0, 0, 0, 0, 0, None)


def test_the_json_names_owner_and_day():
    told = backlog_json(log_of(REQUESTS).backlogs(date(2025, 10, 31)), date(2025, 10, 31))
    assert told["day"] == "2025-10-31"
    assert [(row["database"], row["owner"], row["backlog"]) for row in told["owners"]] == [
        ("dat_dai", "Bộ Nông nghiệp và Môi trường", 1),
        ("y_te", "Bộ Y tế", 0),
    ]
    assert told["owners"][0]["oldest"] == "2025-10-08T10:00:00+07:00"
    assert (told["total"]["requested"], told["total"]["backlog"]) == (3, 1)
    assert backlog_json([], None)["day"] is None
