"""The one seam that every app's prompt passes: rows → redaction → text.

Here: the seam and the prompt's hash. Not here: the rules of redaction, how JSON is written, any app.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from ai_assets.apps.base import Prompt
from ai_assets.apps.canonical import canonical_json
from ai_assets.apps.redaction import redact


def render(content: Mapping[str, Any]) -> str:
    """Canonical JSON of the content without what may not leave. The same content gives the same text."""
    return canonical_json(redact(content))


def make_prompt(
    content: Mapping[str, Any], references: Mapping[str, Any], put_back: Mapping[str, str] | None = None
) -> Prompt:
    """A prompt from its content and what it was built from; both pass the redaction.

    `put_back`: what its answer must have put back in the place of pseudonyms.
    """
    return Prompt(render(content), redact(references), put_back or {})


def prompt_hash(app_name: str, version: str, text: str) -> str:
    """The memo's key of a prompt, as hex: another app or another version of it is another key."""
    return sha256("\n".join((app_name, version, text)).encode()).hexdigest()
