"""What the portal's page knows without asking: places, procedures, databases, invented people, what is assumed."""

import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from domain import Domain, load_domain
from paperless.traffic.personas import personas


def files() -> Mapping[str, str]:
    """Return the file by its path in the project."""
    known = load_domain()
    facts = {
        "provinces": list(_provinces(known)),
        "procedures": list(_procedures(known)),
        "databases": [
            {"slug": each.slug, "vi": each.name_vi, "en": each.name_en, "owner": each.owner}
            for each in known.databases.values()
        ],
        "personas": [
            {
                "name": each.name,
                "who": each.who,
                "vi": each.story_vi,
                "en": each.story_en,
                "application": dict(each.application),
            }
            for each in personas().values()
        ],
        "assumed": list(_assumed(known)),
    }
    lines = (f'"{name}":[\n{_lines(rows)}\n]' for name, rows in facts.items())
    return {"services/portal/web/facts.json": "{\n" + ",\n".join(lines) + "\n}\n"}


def _lines(rows: list[dict[str, Any]]) -> str:
    # A row a line: a change of one fact is a change of one line.
    return ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)


def _provinces(known: Domain) -> Iterator[dict[str, Any]]:
    for each in known.provinces.values():
        yield {
            "code": each.code,
            "h": each.h_code,
            # A name is a name, in every language, as `paperless rates` writes it.
            "vi": each.name_vi,
            "en": each.name_vi,
            "row": each.tile_row,
            "col": each.tile_col,
            # Where an application is filed that the page's user moves here.
            "commune": min(commune.code for commune in known.communes.values() if commune.province == each.code),
        }


def _procedures(known: Domain) -> Iterator[dict[str, Any]]:
    for each in known.procedures.values():
        yield {
            "code": each.code,
            "vi": each.name_vi,
            "en": each.name_en,
            "authority": each.authority,
            "fee": each.fee_online_vnd > 0,
            "result": each.electronic_result,
            "components": [{"slug": part.slug, "vi": part.name_vi, "en": part.name_en} for part in each.proofs],
            "parts": [{"slug": part.slug, "vi": part.name_vi, "en": part.name_en} for part in each.parts],
        }


def _assumed(known: Domain) -> Iterator[dict[str, Any]]:
    for each in known.parameters.values():
        value = each.value.isoformat() if isinstance(each.value, date) else each.value
        yield {
            "name": each.name,
            "value": value,
            "low": each.low,
            "high": each.high,
            "unit": each.unit,
            "evidence": each.evidence,
            "basis": each.basis,
        }
