"""What stands beside a rate: its definition, and the published figure that it may be held against. Pure.

The definitions' sources: domain/README.md, sections 4 and 5. The published figure is the latest one of 2025 that counts
the same thing for the same place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from domain import Domain, Observation

AuthorityFilter = Literal["province", "ministry", "all"]
MeasureName = Literal[
    "d1",
    "d2",
    "paperless",
    "components_by_data",
    "papers_asked_although_data_were_there",
    "on_time",
    "online",
    "presumed",
    "minutes_to_result",
]

# For whoever answers with these values: a text below a field describes it.
DESCRIBED: Final = {"use_attribute_docstrings": True}


@dataclass(frozen=True, slots=True)
class Definition:
    """What a rate says, in English and (`…_vi`) Vietnamese; `unit` is that of `value`."""

    name_vi: str
    name_en: str
    numerator_vi: str
    numerator: str
    denominator_vi: str
    denominator: str
    unit: Literal["share", "minutes"] = "share"


@dataclass(frozen=True, slots=True)
class Published:
    """A published figure to hold the rate against; `evidence` is the mark of the domain data (A best, C weak)."""

    value: float
    comparison: Literal["eq", "gt", "lt", "approx"]
    about: str
    period_start: str | None
    period_end: str | None
    source: str
    evidence: str
    note: str


DEFINITIONS: Final[Mapping[MeasureName, Definition]] = {
    "d1": Definition(
        name_vi="Tỷ lệ hồ sơ toàn trình trên tổng số hồ sơ (D1)",
        name_en="End-to-end rate of all applications (D1)",
        numerator_vi="hồ sơ được giải quyết toàn trình: mọi bước trực tuyến, không giấy tờ",
        numerator="applications that ended end to end: all steps online, nothing on paper",
        denominator_vi="mọi hồ sơ đã có kết quả",
        denominator="all applications decided",
    ),
    "d2": Definition(
        name_vi="Tỷ lệ hồ sơ toàn trình trên hồ sơ của thủ tục đủ điều kiện toàn trình (D2)",
        name_en="End-to-end rate of eligible procedures (D2)",
        numerator_vi="hồ sơ được giải quyết toàn trình của thủ tục đủ điều kiện toàn trình",
        numerator="applications that ended end to end, of procedures that can be done end to end",
        denominator_vi="hồ sơ của thủ tục đủ điều kiện toàn trình và không ai phải có mặt",
        denominator="applications of procedures that can be done end to end and need nobody to appear",
    ),
    "paperless": Definition(
        name_vi="Tỷ lệ hồ sơ được thay thế hoàn toàn bằng dữ liệu",
        name_en="Applications fully proved by data",
        numerator_vi="hồ sơ mà mọi thành phần cần chứng minh đều có dữ liệu: không bản chụp, không bản giấy",
        numerator="applications with every proof answered by data: no upload, no paper",
        denominator_vi="hồ sơ cần ít nhất một giấy tờ chứng minh",
        denominator="applications that needed at least one proof",
    ),
    "components_by_data": Definition(
        name_vi="Tỷ lệ thành phần hồ sơ được thay thế bằng dữ liệu",
        name_en="Components answered by data",
        numerator_vi="thành phần hồ sơ được dữ liệu trả lời",
        numerator="components answered by data",
        denominator_vi="thành phần hồ sơ cần chứng minh",
        denominator="components that needed proof",
    ),
    "papers_asked_although_data_were_there": Definition(
        name_vi="Tỷ lệ giấy tờ vẫn bị yêu cầu dù đã có dữ liệu",
        name_en="Papers asked for although the data were there",
        numerator_vi="thành phần nộp bằng giấy, hoặc bị hỏi lại, dù dữ liệu đã trả lời",
        numerator="components taken on paper, or asked for again, although data had answered them",
        denominator_vi="thành phần mà dữ liệu đã trả lời",
        denominator="components that data had answered",
    ),
    "on_time": Definition(
        name_vi="Tỷ lệ hồ sơ giải quyết đúng hạn",
        name_en="Decided on time",
        numerator_vi="hồ sơ có kết quả không muộn hơn hạn trả, đã trừ thời gian chờ người nộp (chỉ số 2.1)",
        numerator="applications decided no later than they were due, waiting for the applicant taken off (index 2.1)",
        denominator_vi="mọi hồ sơ đã có kết quả",
        denominator="all applications decided",
    ),
    "online": Definition(
        name_vi="Tỷ lệ hồ sơ nộp trực tuyến",
        name_en="Filed online",
        numerator_vi="hồ sơ nộp trực tuyến, tự nộp hoặc được hỗ trợ",
        numerator="applications filed online, with or without help",
        denominator_vi="mọi hồ sơ đã có kết quả",
        denominator="all applications decided",
    ),
    "presumed": Definition(
        name_vi="Tỷ lệ hồ sơ quyết định khi chưa đủ trả lời",
        name_en="Decided without every answer",
        numerator_vi="hồ sơ mà kết quả hiện tại còn thiếu một câu trả lời đã hỏi",
        numerator="applications whose current outcome lacks an answer that was asked for",
        denominator_vi="mọi hồ sơ đã có kết quả",
        denominator="all applications decided",
    ),
    "minutes_to_result": Definition(
        name_vi="Thời gian từ khi nộp đến khi có kết quả (phút)",
        name_en="Mean time from submission to decision, in minutes",
        numerator_vi="số phút từ khi nộp đến khi có kết quả, tính cả đêm và ngày nghỉ",
        numerator="minutes from submission to decision, nights and days off included",
        denominator_vi="mọi hồ sơ đã có kết quả",
        denominator="all applications decided",
        unit="minutes",
    ),
}

# The simulation is autumn 2025: figures of 2024 have other borders, those of 2026 other rules.
FIRST_DAY: Final = date(2025, 1, 1)
LAST_DAY: Final = date(2025, 12, 31)
# The scenarios play October; what is of November alone belongs to another world.
LAST_START: Final = date(2025, 10, 31)

METRICS: Final[Mapping[MeasureName, str]] = {"d1": "d1_rate", "on_time": "on_time_share", "online": "online_share"}
COUNTRY_SCOPES: Final[Mapping[AuthorityFilter, str]] = {
    "all": "national",
    "province": "all_provinces",
    "ministry": "all_ministries",
}
# A province's own counters: province-run applications. Its communes' figures stand in where there is nothing closer.
PROVINCE_SCOPES: Final = ("province", "province_communes")


def published_for_country(domain: Domain, authority: AuthorityFilter) -> dict[MeasureName, Published]:
    """Return the published figures of the country, for one kind of authority or both."""
    return _published(domain, [(COUNTRY_SCOPES[authority], None)])


def published_for_province(domain: Domain, province: str, authority: AuthorityFilter) -> dict[MeasureName, Published]:
    """Return the published figures of a province; none where ministries' applications are counted in."""
    if authority != "province":
        return {}
    h_code = domain.provinces[province].h_code
    return _published(domain, [(scope, h_code) for scope in PROVINCE_SCOPES])


def _published(domain: Domain, places: list[tuple[str, str | None]]) -> dict[MeasureName, Published]:
    figures: dict[MeasureName, Published] = {}
    for measure, metric in METRICS.items():
        for scope, h_code in places:
            rows = [row for row in domain.published(metric, scope, h_code=h_code) if _is_of_the_time(row)]
            if rows:
                figures[measure] = _figure(max(rows, key=_latest))
                break
    return figures


def _is_of_the_time(row: Observation) -> bool:
    end = row.period_end
    return end is not None and FIRST_DAY <= end <= LAST_DAY and (row.period_start or end) <= LAST_START


def _latest(row: Observation) -> tuple[date, int]:
    """The latest end; of two, the one over more days."""
    end = row.period_end or FIRST_DAY
    return end, (end - (row.period_start or end)).days


def _figure(row: Observation) -> Published:
    return Published(
        value=row.value,
        comparison=row.comparison,
        about=row.name,
        period_start=row.period_start.isoformat() if row.period_start else None,
        period_end=row.period_end.isoformat() if row.period_end else None,
        source=row.source,
        evidence=row.evidence,
        note=row.note,
    )
