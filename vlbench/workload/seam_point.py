"""One seam alone at one size, in place of a scenario's point."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class SeamPoint(BaseModel):
    """What is fed in to a seam that is measured alone. It travels to the measuring process as JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seam: str
    size: int
    label: str
    """Which rung of the ladder of sizes, such as "n=1296"."""
    why_scaled: None = None

    @property
    def scenario(self) -> str:
        return f"seam {self.seam}"
