"""One side of a lock-step pair, as its parent sees it: a process to tell and to hear, which may end at any time."""

from __future__ import annotations

from typing import TypeVar

from vlbench.process.child import Child, ChildError
from vlbench.process.messages import Message
from vlbench.revisions.messages import SAID, Said
from vlbench.towers.from_folder import tower_in_folder
from vlbench.trial.job import Job, VariantJob
from vlbench.trial.session import INDUCTOR_CACHE

One = TypeVar("One", bound=Message)
Other = TypeVar("Other", bound=Message)


class Side(Child[Said]):
    """A process that works in the folder of its own revision."""

    def __init__(self, variant: VariantJob, job: Job, timeout: float) -> None:
        """Starts the process, which is to measure `variant` of `job` and is ended after `timeout` seconds."""
        assert variant.tower is not None  # a revision's tower is named by its folder
        self.job = job.model_copy(update={"model": variant.tower, "variants": (variant,)})
        at = tower_in_folder(variant.tower)
        folder = at.folder if at else None
        super().__init__(
            "vlbench.revisions.worker", SAID, timeout, folder=folder, own_folders=(INDUCTOR_CACHE,), name=variant.name
        )

    def expect(self, kind: type[One], other: type[Other] | None = None) -> One | Other:
        """Wait for what is said next, of one of these kinds. Raises UsageError for a refusal, ChildError for an end."""
        said = self.hear()
        if isinstance(said, kind) or (other and isinstance(said, other)):
            return said
        raise ChildError(self.name, f"it said {said.event!r} out of turn")
