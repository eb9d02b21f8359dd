"""Names and source of each rule of intake, for the portal, which imports no other service."""

import json
from collections.abc import Mapping

from services.intake.rules import RULES
from services.scoring.rates.why import reason_names


def files() -> Mapping[str, str]:
    """Return the file by its path in the project."""
    texts = {}
    for rule in RULES:
        name_vi, name_en = reason_names(rule.name)
        texts[rule.name] = {"name_vi": name_vi, "name_en": name_en, "source": rule.source}
    return {"services/portal/reasons.json": json.dumps(texts, ensure_ascii=False, indent=2) + "\n"}
