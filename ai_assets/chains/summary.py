"""What a batch of steps came to: counts, tokens, cost, and a sentence for people. Not here: running them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from ai_assets.chains.outcome import Outcome, StepResult


@dataclass
class StepsSummary:
    """What a batch of steps came to: a site's cells, or the steps of some members."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    tokens: int = 0
    cost_cny: Decimal = Decimal(0)
    seconds: float = 0.0
    failures: list[StepResult] = field(default_factory=list)
    timed_out: bool = False

    def add(self, result: StepResult) -> None:
        """Count one result."""
        self.outcomes[result.outcome] += 1
        self.tokens += result.tokens_used
        self.cost_cny += result.cost_cny
        if result.outcome.is_failure:
            self.failures.append(result)

    @property
    def made(self) -> int:
        """Results that were made by a call."""
        return self.outcomes[Outcome.SUCCESS]

    @property
    def reused(self) -> int:
        """Results that stood already."""
        return self.outcomes[Outcome.REUSED]

    @property
    def failed(self) -> int:
        """Steps that gave no result: failed, timed out or refused."""
        return len(self.failures)

    @property
    def status(self) -> str:
        """The trigger job's status: completed, partial or failed."""
        if self.timed_out or self.made + self.reused == 0:
            return "failed"
        return "partial" if self.failures else "completed"

    def sentence(self) -> str:
        """One line for people: counts, and the reasons by how often they came."""
        line = f"{self.made} made, {self.reused} reused, {self.failed} failed"
        if without_note := self.outcomes[Outcome.NO_NOTE]:
            line += f", {without_note} without a note"
        reasons = Counter(result.reason or result.outcome.value for result in self.failures)
        if reasons:
            line += " (" + ", ".join(f"{reason} x {count}" for reason, count in reasons.most_common()) + ")"
        return line
