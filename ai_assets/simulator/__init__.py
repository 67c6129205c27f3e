"""A local DashScope for development, the demo and tests: it speaks the wire, and fails on demand.

Here: the stand-in service and everything it needs, on the standard library alone (click for its command).
Not here: anything of the product; the product meets the simulator only over HTTP.
"""
