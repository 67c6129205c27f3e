"""Whether an answer may be trusted: pure checks of what an app said against what it was given."""
