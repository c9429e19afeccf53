"""What removes what was seen, a flag of ours where one does: a table of patterns, by operation and expression.

An entry asks three things of a cause: what happened, in which torch operation, and what the expression looks like.
The first that fits counts. Where none fits there is no advice. All of them are about waits: what is sent without
waiting costs a launch, and no flag of ours takes that away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from vlbench.record.counts import Cause, Event

SCALAR = frozenset({"aten::_local_scalar_dense"})
"""`.item()`, `int()`, `bool()`, and a tensor where Python wants a number."""
WHOLE = frozenset({"aten::_to_copy", "aten::copy_"})
"""`.tolist()`, `.cpu()`, `.to(device)`."""
BY_MASK = frozenset(
    {
        "aten::index.Tensor",
        "aten::index_put",
        "aten::index_put_",
        "aten::_index_put_impl_",
        "aten::masked_select",
        "aten::masked_scatter",
        "aten::masked_scatter_",
        "aten::nonzero",
    }
)
INDEXING = frozenset({"aten::index.Tensor", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"})

_BOUND = r"[^\[\],:]*[A-Za-z_][^\[\],:]*"
SLICE = rf"\[[^\[\]]*(?:{_BOUND}:|:\s*{_BOUND})[^\[\]]*\]|\bnarrow\("
"""A slice of which at least one bound has a name, so may be a tensor."""
LENGTHS = r"seq|len|cu_|bound|segment|split|chunk"
LONGEST = r"max_?seq|max_?len|longest|(?:seq|len|cu_)\w*(?:\[[^\]]*\]|[\s\-()])*\.(?:a?max)\("
GRID = r"grid|thw|\b(?:t|h|w)\b|height|width|frames"
DEVICE_OF = re.compile(r"\b(?:device\s*=\s*)?[\w.]+\.device\b")
"""Where a tensor goes says nothing of what it is."""
POSITIONS = r"pos|rope|rot|freq|cos|sin\b|angle|ids\b"


@dataclass(frozen=True)
class Pattern:
    """A cost that is known by sight, and what removes it."""

    words: str
    flags: tuple[str, ...]
    """Flags of ours that remove it, each by itself; none where ours have nothing of the kind."""
    events: tuple[Event, ...]
    operations: frozenset[str] | None = None
    """Torch operations that it shows in; None for any."""
    expression: str = ""
    """A regular expression that the expression must hold, in any case of letters."""

    def fits(self, cause: Cause) -> bool:
        return (
            cause.blocking
            and cause.event in self.events
            and (self.operations is None or cause.operation in self.operations)
            and re.search(self.expression, DEVICE_OF.sub("", cause.expression), re.IGNORECASE) is not None
        )


_READ: tuple[Event, ...] = ("read-back",)
_HIDDEN: tuple[Event, ...] = ("implicit upload",)

PATTERNS = (
    Pattern("slice by bounds that are Python integers", ("host-seqlens",), _READ, SCALAR, SLICE),
    Pattern(
        "drop empty windows where they are made, on the host",
        ("no-empty-windows",),
        _READ,
        frozenset({"aten::unique_consecutive", "aten::_unique2", "aten::unique_dim_consecutive"}),
    ),
    Pattern("take the longest sequence from the host's lengths, once", (), _READ, SCALAR | WHOLE, LONGEST),
    Pattern(
        "keep the grid on the host, and repeat it there",
        ("host-grid",),
        _READ,
        frozenset({"aten::repeat_interleave.Tensor"}),
    ),
    Pattern("keep lengths and bounds on the host", ("host-seqlens",), _READ, SCALAR | WHOLE, LENGTHS),
    Pattern("keep the grid on the host", ("host-grid",), _READ, SCALAR | WHOLE, GRID),
    Pattern("write at positions that the host knows, in place of a mask", ("merge-host-indices",), _READ, BY_MASK),
    Pattern(
        "make the ids on the device, or remember the rows",
        ("device-pos-ids", "rope-cache"),
        _HIDDEN,
        INDEXING,
        POSITIONS,
    ),
    Pattern("send the index beforehand, through pinned memory", ("pinned-h2d",), _HIDDEN, INDEXING),
    Pattern("keep the grid on the host", ("host-grid",), ("upload",), None, GRID),
    Pattern("upload from pinned memory, with non_blocking=True", ("pinned-h2d",), ("upload",)),
)


def advise(cause: Cause) -> Pattern | None:
    """The pattern of `cause`, which says what removes it; None where nothing is known that would."""
    return next((pattern for pattern in PATTERNS if pattern.fits(cause)), None)
