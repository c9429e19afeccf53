"""What was counted: frozen, typed, and the same on every machine that runs the same code on the same torch."""

from typing import Literal

from vlbench.record.base import Count, Record
from vlbench.record.site import Site, Where


class Tally(Record):
    """Counts over a forward or over one of its stages. Bytes of copies are those that cross the bus."""

    device_operations: Count = 0
    """Operations that ask the GPU for work, as a model: an operation may be several kernels, or one memcpy."""
    attention_calls: Count = 0
    attention_plans: Count = 0
    """Plans that cuDNN builds on the host for attention: one for each new set of sizes and strides, in each thread."""
    host_syncs: Count = 0
    """How often the host waits for the device: read-backs, blocking copies and explicit synchronisation."""
    allowed_syncs: Count = 0
    """Waits that the code says it means (`vlbench.allow_sync`); they are not among the `host_syncs`."""
    read_backs: Count = 0
    read_back_bytes: Count = 0
    uploads: Count = 0
    upload_bytes: Count = 0
    pinned_uploads: Count = 0
    """How many of the uploads start from pinned memory."""
    implicit_uploads: Count = 0
    """Uploads that nobody wrote down, such as a host index into a device tensor."""
    implicit_upload_bytes: Count = 0
    allocations: Count = 0
    allocated_bytes: Count = 0


class Kind(Record):
    """Device operations that a GPU may be taken to carry out alike."""

    operation: str
    """Without its overload, as a profiler names it."""
    dtype: str
    """Of the first tensor among its arguments; "list" where that is a list of tensors, "none" where there is none."""
    size: Count
    """Elements of its largest tensor argument, rounded up to a power of 16."""
    times: Count


class Assumption(Record):
    """A value that follows from floats, taken so that counting could go on; the wait for it is among the causes."""

    where: Where
    taken: str
    certain: bool
    """Any finite floats in range give it."""
    branch: bool
    """Code branches on it, and either way is as likely: the count is of the dearer one."""
    times: Count


class Question(Record):
    """What code asked about the GPU before it chose a path, and what it was told."""

    question: str
    answer: str
    where: Where
    times: Count


class Key(Record):
    """Counts compare only where all of this is equal."""

    mode: Literal["shadow", "ghost"]
    profile: str
    dtype: str
    """Floating dtypes of the matrix products, convolutions and attention, joined by "+"."""
    attention_backend: str
    """Backends that the attention calls would take on this profile, joined by "+"."""
    cudnn: str = ""
    """The cuDNN that was answered for, and whether torch asks it last; "" of counts from before it made a difference,
    when attention ran in flash, efficient or math, in this order."""
    platform: str = ""
    """What `vlbench.Tower.platform` says, such as "CPU platform": code that is another than the GPU's."""
    torch_version: str
    """Without the part after "+", such as "cu130": builds for CPU and for CUDA count alike."""


class Counts(Record):
    """All that one `count()` block asked of the device. `model_dump(mode="json")` gives plain JSON."""

    key: Key
    total: Tally
    stages: dict[str, Tally]
    """By innermost stage, "" for what lies outside of all stages; they add up to `total`."""
    live_bytes_before: Count
    peak_live_bytes: Count
    """Most bytes alive at once, weights and inputs included; what kernels allocate inside themselves is not."""
    operations: dict[str, Count]
    """Device operations by name; they add up to `total.device_operations`."""
    kinds: tuple[Kind, ...]
    """The same operations by name, dtype and size."""
    causes: tuple[Site, ...]
    """By line and stage, without advice."""
    assumptions: tuple[Assumption, ...] = ()
    questions: tuple[Question, ...]
    unknown: dict[str, Count]
    """Operations without an entry or a declaration, by name: counted as one operation each, which may be wrong."""
    not_measured: tuple[str, ...]
    """What ran but cannot be counted here, one sentence each."""

    @property
    def complete(self) -> bool:
        """Whether these counts can be gated on: nothing unknown, nothing left unmeasured."""
        return not self.why_not_whole

    @property
    def why_not_whole(self) -> str:
        """Why they cannot, with the remedy; "" where they can."""
        told = (
            f"unknown operation{'s' * (len(self.unknown) > 1)} {', '.join(sorted(self.unknown))}; say what it is with"
        )
        unknown = [f'{told} vlbench.counting_device.declare("{min(self.unknown)}")'] if self.unknown else []
        return "; ".join([*unknown, *self.not_measured])
