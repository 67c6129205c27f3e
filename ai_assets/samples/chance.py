"""Chance that is the same every time: one stream of random numbers for each thing it is drawn for.

Here: seeded streams and the two draws that every venue module needs. Not here: what is drawn.

A stream belongs to a seed and a name such as (site, date), never to the order of the work, so that one
day's figures do not depend on which other days are made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from random import Random
from typing import TypeVar

_T = TypeVar("_T")


def rng_of(seed: int, *what: object) -> Random:
    """The random stream of `what` under `seed`; the same in every process and on every machine."""
    name = "|".join(str(part) for part in (seed, *what))
    # not hash(): it differs from process to process
    return Random(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))


def count_near(rng: Random, mean: float) -> int:
    """A count with about the mean and spread of a Poisson draw; never negative."""
    return max(0, round(rng.gauss(mean, max(mean, 0.0) ** 0.5)))


def pick(rng: Random, weights: Mapping[_T, float]) -> _T:
    """One of the keys, with these weights."""
    return rng.choices(list(weights), weights=list(weights.values()))[0]
