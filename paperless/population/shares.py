"""The shares that people and offices are drawn by: province profiles, national parameters, a scenario's overrides."""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from domain import Domain

Share = Annotated[float, Field(ge=0, le=1)]
NO_OVERRIDES: Mapping[str, float] = MappingProxyType({})


class Shares(BaseModel):
    """One province on one day; every value is a share 0..1.

    The last three are assumptions (mark C) that no parameter of the domain holds: nothing is published about refused
    consent, about filings that pass the portal with a level-1 account, or about filing away from home.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    online_share: Share
    postal_share: Share
    assisted_share: Share
    level2_share: Share
    paper_taken_share: Share
    no_answer_share: Share
    paper_answer_share: Share
    online_payment_share: Share
    electronic_result_share: Share
    paper_on_request_share: Share
    post_return_share: Share
    refused_consent_share: Share = 0.01
    # Small, but a rule that rejects must be seen at work.
    level1_online_share: Share = 0.002
    elsewhere_share: Share = 0.1


def shares_of(domain: Domain, province: str, day: date, overrides: Mapping[str, float] = NO_OVERRIDES) -> Shares:
    """Return the shares of one province; an override replaces the value in every province.

    A profile describes the autumn of 2025; before the no-paper rule (parameter `date.no_paper_25_services`) the
    national share of paper still taken holds instead of the profile's.

    Raises:
        KeyError: no such province.
        pydantic.ValidationError: an override that is no share or has an unknown name.

    """
    profile = domain.profiles[province]
    paper_taken = profile.paper_taken_share
    if day < domain.day("date.no_paper_25_services"):
        paper_taken = domain.number("channel.paper_taken_share_before_oct_2025")
    values = {
        "online_share": profile.online_share,
        "postal_share": domain.number("channel.postal_share"),
        "assisted_share": domain.number("channel.assisted_share_of_online"),
        "level2_share": profile.level2_share,
        "paper_taken_share": paper_taken,
        "no_answer_share": domain.number("supplement.no_answer_share"),
        "paper_answer_share": profile.paper_answer_share,
        "online_payment_share": profile.online_payment_share,
        "electronic_result_share": profile.electronic_result_share,
        "paper_on_request_share": domain.number("result.paper_on_request_share"),
        "post_return_share": domain.number("result.post_return_share"),
    }
    return Shares.model_validate(values | dict(overrides))
