"""The measures, printed as figures and ratios of one run; see `python -m bench`. Nothing here asserts a time."""
