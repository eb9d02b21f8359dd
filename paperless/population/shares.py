"""The shares that people and offices are drawn by: province profiles, national parameters, a scenario's overrides."""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from domain import Domain

Share = Annotated[float, Field(ge=0, le=1)]
NO_OVERRIDES: Mapping[str, float] = MappingProxyType({})
# Shares that are the same in every province, by their parameter.
NATIONAL: Mapping[str, str] = MappingProxyType({
    "postal_share": "channel.postal_share",
    "assisted_share": "channel.assisted_share_of_online",
    "level1_online_share": "account.level1_online_share",
    "refused_consent_share": "account.refused_consent_share",
    "elsewhere_share": "channel.elsewhere_share",
    "paper_taken_other_share": "channel.paper_taken_share",
    "asked_again_share": "channel.asked_again_share",
    "no_answer_share": "supplement.no_answer_share",
    "paper_on_request_share": "result.paper_on_request_share",
    "post_return_share": "result.post_return_share",
    "physical_by_post_share": "result.physical_by_post_share",
})  # fmt: skip


class Shares(BaseModel):
    """One province on one day; every value is a share 0..1, from its profile or a parameter of the domain.

    `paper_taken_share` is of procedures for which the no-paper rule of 2025-10-01 is meant, the 25 services;
    `paper_taken_other_share` of all others. `post_return_share` is of results that are fetched by default,
    `physical_by_post_share` of those that go by post by default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    online_share: Share
    postal_share: Share
    assisted_share: Share
    level2_share: Share
    level1_online_share: Share
    refused_consent_share: Share
    elsewhere_share: Share
    paper_taken_share: Share
    paper_taken_other_share: Share
    asked_again_share: Share
    no_answer_share: Share
    paper_answer_share: Share
    online_payment_share: Share
    electronic_result_share: Share
    paper_on_request_share: Share
    post_return_share: Share
    physical_by_post_share: Share


def shares_of(domain: Domain, province: str, day: date, overrides: Mapping[str, float] = NO_OVERRIDES) -> Shares:
    """Return the shares of one province; an override replaces the value in every province.

    A profile describes the autumn of 2025, and the reforms what differs on other days. Without the no-paper rule
    (parameter `channel.no_paper_rule`) the share of paper still taken is for the 25 services what it is for all others.

    Raises:
        KeyError: no such province.
        pydantic.ValidationError: an override that is no share or has an unknown name.

    """
    domain = domain.on(day)
    profile = domain.profiles[province]
    values = {
        "online_share": profile.online_share,
        "level2_share": profile.level2_share,
        "paper_taken_share": profile.paper_taken_share,
        "paper_answer_share": profile.paper_answer_share,
        "online_payment_share": profile.online_payment_share,
        "electronic_result_share": profile.electronic_result_share,
        **{name: domain.number(parameter) for name, parameter in NATIONAL.items()},
    }
    if not domain.number("channel.no_paper_rule"):
        values["paper_taken_share"] = values["paper_taken_other_share"]
    return Shares.model_validate(values | dict(overrides))
