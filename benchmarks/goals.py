"""What a benchmark is to reach, beside what it came to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A figure and its bound.

    Attributes:
        what: what was measured, in words.
        value: what it came to.
        bound: what it should be.
        at_least: whether more is better than less.
    """

    what: str
    value: float
    bound: float
    at_least: bool = False

    @property
    def reached(self) -> bool:
        """Whether the value is on the right side of its bound."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def __str__(self) -> str:
        direction = "at least" if self.at_least else "at most"
        told = "reached" if self.reached else "MISSED"
        return f"{self.what}: {self.value:.3f} (goal: {direction} {self.bound:g}, {told})"

    def to_json(self) -> dict[str, object]:
        """Return the goal as JSON-ready values."""
        return {**vars(self), "reached": self.reached}
