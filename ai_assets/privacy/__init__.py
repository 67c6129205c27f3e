"""Which passages of a text are somebody's phone, ID, card, WeChat or birthday, and the text without them. Pure.

Below all that writes or sends text, so that each may use it: the client's errors, alerts, the inbox, prompts. Not
here: whole contents and their keys (`ai_assets.apps.redaction`), names (`ai_assets.apps.names`).
"""
