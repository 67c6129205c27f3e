"""What one gateway process is made of, for its routes to share. Not here: any of the parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_assets.gateway.access import Rates, TokenBook
    from ai_assets.gateway.database import Database
    from ai_assets.gateway.hub import Hub
    from ai_assets.gateway.intake import Intake
    from ai_assets.gateway.metrics import Metrics
    from ai_assets.gateway.quota import Quota
    from ai_assets.gateway.runner import Runner


@dataclass(frozen=True)
class Parts:
    """The parts of one process."""

    database: Database
    intake: Intake
    book: TokenBook
    rates: Rates
    hub: Hub
    requests: Quota
    bodies: Quota
    sockets: Quota
    runner: Runner
    metrics: Metrics
    body_bytes: int
    socket_envelope: bool
    """Whether sockets send the old dispatcher's envelope unless their address says otherwise."""
