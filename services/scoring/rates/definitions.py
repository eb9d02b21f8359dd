"""What each rate says: name, numerator and denominator. Sources: domain/README.md, sections 4 and 5."""

from collections.abc import Mapping
from typing import Final

from services.scoring.api.models import Definition, MeasureName

DEFINITIONS: Final[Mapping[MeasureName, Definition]] = {
    "d1": Definition(
        name_vi="Tỷ lệ hồ sơ toàn trình trên tổng số hồ sơ (D1)",
        name_en="End-to-end rate of all applications (D1)",
        numerator="applications that ended end to end: all steps online, nothing on paper",
        denominator="all applications decided",
    ),
    "d2": Definition(
        name_vi="Tỷ lệ hồ sơ toàn trình trên hồ sơ của thủ tục đủ điều kiện toàn trình (D2)",
        name_en="End-to-end rate of eligible procedures (D2)",
        numerator="applications that ended end to end, of procedures that can be done end to end",
        denominator="applications of procedures that can be done end to end and need nobody to appear",
    ),
    "paperless": Definition(
        name_vi="Tỷ lệ hồ sơ được thay thế hoàn toàn bằng dữ liệu",
        name_en="Applications fully proved by data",
        numerator="applications with every proof answered by data: no upload, no paper",
        denominator="applications that needed at least one proof",
    ),
    "components_by_data": Definition(
        name_vi="Tỷ lệ thành phần hồ sơ được thay thế bằng dữ liệu",
        name_en="Components answered by data",
        numerator="components answered by data",
        denominator="components that needed proof",
    ),
    "papers_asked_although_data_were_there": Definition(
        name_vi="Tỷ lệ giấy tờ vẫn bị yêu cầu dù đã có dữ liệu",
        name_en="Papers asked for although the data were there",
        numerator="components taken on paper although data had answered them",
        denominator="components that data had answered",
    ),
    "on_time": Definition(
        name_vi="Tỷ lệ hồ sơ giải quyết đúng hạn",
        name_en="Decided on time",
        numerator="applications decided no later than they were due",
        denominator="all applications decided",
    ),
    "online": Definition(
        name_vi="Tỷ lệ hồ sơ nộp trực tuyến",
        name_en="Filed online",
        numerator="applications filed online, with or without help",
        denominator="all applications decided",
    ),
    "presumed": Definition(
        name_vi="Tỷ lệ hồ sơ quyết định khi chưa đủ trả lời",
        name_en="Decided without every answer",
        numerator="applications whose current outcome lacks an answer that was asked for",
        denominator="all applications decided",
    ),
    "minutes_to_result": Definition(
        name_vi="Thời gian từ khi nộp đến khi có kết quả (phút)",
        name_en="Mean time from submission to decision, in minutes",
        numerator="minutes from submission to decision, nights and days off included",
        denominator="all applications decided",
        unit="minutes",
    ),
}
