"""The way to DashScope: one client, its error table, the reading of an answer, prices.

Not here: whether a call may be made (`ai_assets.guard`), what is asked (`ai_assets.apps`).
"""
