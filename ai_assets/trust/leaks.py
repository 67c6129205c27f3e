"""What an answer must not give away or give in to; decided from prompt and answer alone.

Here: the order of the questions. Not here: the questions (`repeating`, `obeying`, `strangers`), plain text
(`plain_answers`), which comes before: nothing is hidden from these by what cannot be seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ai_assets.trust.given import given, leaves
from ai_assets.trust.limits import Limits
from ai_assets.trust.obeying import obeys, of_a_prompt
from ai_assets.trust.repeating import example, repeats
from ai_assets.trust.strangers import strange


def leak(prompt: str, answer: Mapping[str, Any], limits: Limits, others: Iterable[str] = ()) -> str | None:
    """Why the answer (made plain, `plain_answers.held`) must be refused, in a line that quotes nothing of it; or None.

    `others`: names and ids of other people, where the caller knows some.
    """
    was_given = given(prompt)
    found = list(leaves(dict(answer)))
    for path, _, _ in found:
        if any(of_a_prompt(key) for key in path.split(".")):
            return "the answer holds a key of a prompt or a call, and none of an answer"
    texts = [(path, value) for path, _, value in found if isinstance(value, str)]
    where = repeats(was_given, texts)
    if where is not None:
        return f"the answer repeats its instructions ({limits.told(where) if where else 'in several texts'})"
    where = example(was_given, texts, limits)
    if where is not None:
        return f"{limits.told(where)} of the answer is the example of its form"
    sign = obeys(was_given, answer, texts)
    if sign is not None:
        return f"{limits.told(sign[0])} of the answer {sign[1]}"
    stranger = strange(was_given, found, others)
    if stranger is not None:
        return f"{limits.told(stranger[0])} of the answer {stranger[1]}"
    return None
