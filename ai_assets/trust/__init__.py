"""Whether an answer may be believed: what it says held against what it was given. Pure: no I/O, no clock."""
