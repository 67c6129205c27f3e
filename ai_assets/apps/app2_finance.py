"""App2: insights on a whole site's finances in one time window (area `all`).

What the prompt holds, in which words, is shared with App2a: `ai_assets.apps.finance_prompt`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_assets.apps.answers import FinanceAnswer
from ai_assets.apps.base import App, Kind, Prompt, Subject, SubjectType, Upstream
from ai_assets.apps.finance_subject import APP2, check_whole_site, target_id

if TYPE_CHECKING:
    from ai_assets.warehouse.finance import SiteFinance

VERSION = "1"


def build(finance: SiteFinance, subject: Subject) -> Prompt:
    """The prompt of one window.

    Raises InputError for a wrong subject, PromptError for rows that must not be counted.
    """
    # here: the code location loads this module for its version alone
    from ai_assets.apps.finance_prompt import build_finance_prompt

    check_whole_site(APP2.name, subject)
    return build_finance_prompt(APP2.name, VERSION, finance, subject)


APP: App[SiteFinance] = App(
    entry=APP2,
    version=VERSION,
    answer=FinanceAnswer,
    about=SubjectType(Kind.CELL, check_whole_site, target_id),
    build=build,
    description="Insights on a whole site's finances in one time window.",
    reads=(Upstream.FINANCE,),
)
