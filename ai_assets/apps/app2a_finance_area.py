"""App2a: insights on the finances of one area of a site in one time window (any area but `all`).

What the prompt holds, in which words, is shared with App2: `ai_assets.apps.finance_prompt`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_assets.apps.answers import FinanceAnswer
from ai_assets.apps.base import App, Kind, Prompt, Subject, SubjectType, Upstream
from ai_assets.apps.finance_subject import APP2A, check_one_area, target_id

if TYPE_CHECKING:
    from ai_assets.warehouse.finance import SiteFinance

VERSION = "1"


def build(finance: SiteFinance, subject: Subject) -> Prompt:
    """The prompt of one window and area.

    Raises InputError for a wrong subject, PromptError for rows that must not be counted.
    """
    # here: the code location loads this module for its version alone
    from ai_assets.apps.finance_prompt import build_finance_prompt

    check_one_area(APP2A.name, subject)
    return build_finance_prompt(APP2A.name, VERSION, finance, subject)


APP: App[SiteFinance] = App(
    entry=APP2A,
    version=VERSION,
    answer=FinanceAnswer,
    about=SubjectType(Kind.CELL, check_one_area, target_id),
    build=build,
    description="Insights on one area's finances in one time window.",
    reads=(Upstream.FINANCE,),
)
