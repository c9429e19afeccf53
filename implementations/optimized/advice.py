"""By what a cost shows that a flag takes away: plain data beside the flag, for whoever counts and reads captures."""

from dataclasses import dataclass

SCALAR = frozenset({"aten::_local_scalar_dense"})
"""`.item()`, `int()`, `bool()`, and a tensor where Python wants a number."""
WHOLE = frozenset({"aten::_to_copy", "aten::copy_"})
"""`.tolist()`, `.cpu()`, `.to(device)`."""
_WRITING = frozenset({"aten::index_put", "aten::index_put_", "aten::_index_put_impl_"})
INDEXING = _WRITING | {"aten::index.Tensor"}
WRITE_BY_MASK = _WRITING | {"aten::masked_scatter", "aten::masked_scatter_"}
READ_BY_MASK = frozenset({"aten::index.Tensor", "aten::masked_select"})
REPEATS = frozenset({"aten::repeat_interleave.Tensor"})

_BOUND = r"[^\[\],:]*[A-Za-z_][^\[\],:]*"
SLICE = rf"(?:\[[^\[\]]*(?:{_BOUND}:|:\s*{_BOUND})[^\[\]]*\]|\bnarrow\((?:[^()]|\([^()]*\))*\))$"
"""A slice of which at least one bound has a name, so may be a tensor, and nothing that reads what it gives."""
LENGTHS = r"(?<![a-z])(?:seq|seqlens?|lens?|lengths?|cu|bounds?|segments?|splits?|chunks?)(?![a-z(])"
"""Whole words, so that a call of `len` or `split` is none."""
LONGEST = (
    r"(?<![a-z])(?:max_?(?:seq(?:uence)?_?)?len(?:gth)?s?|max_?seq(?!_)|longest)(?![a-z])"
    r"|(?<![a-z])(?:(?:seq_?)?len(?:gth)?s?|cu_\w*)(?:_[qkv]+)?(?:\[[^\]]*\]|[\s\-()]|\.diff\()*\.a?max\("
)
GRID = (
    r"(?<![a-z])(?:(?:thw|hw)s?(?![a-z])|(?:grids?|grid_(?:sizes?|[thw])|heights?|widths?|frames)(?![a-z_]))"
    r"|(?<!\.)\b[thw]\b(?!\()"
)
"""Whole names, so that `grid_features` is none."""
UPLOADED_GRID = rf"^(?:\w+\.(?:(?:as_)?tensor|from_numpy)\(\s*[\[(]*)?(?:\w+\.)*\w*?(?:{GRID})"
"""Itself, alone or within a call of `torch.tensor`: what is made from it is made on the device as well."""
POSITIONS = r"(?<![a-z])(?:[hwt]?pos|positions?|rope|rot|rotary|freqs?|cos|sin|angles?)(?![a-z(])"

STREAM_SYNCS = r"^cudaStreamSynchronize|^cuStreamSynchronize"
TRIGONOMETRY = r"\b(cos|sin)_kernel"


@dataclass(frozen=True)
class InCode:
    """A line of a forward that makes the host wait or build a plan for attention, as the counting device sees it."""

    words: str
    """What removes it."""
    event: str
    """"read-back", "upload", "implicit upload" or "attention plan"."""
    operations: frozenset[str] | None = None
    """Torch operations that it shows in; None for any."""
    expression: str = ""
    """A regular expression that the expression must hold, in any case of letters."""
    floats: bool = True
    """Whether floats show it, too: a grid, a length or an index is never one."""
    rank: int = 0
    """Of several that fit a line, the lowest is the advice: what is sure comes before what is likely."""


@dataclass(frozen=True)
class InCapture:
    """What is counted inside a forward of a capture. One of `api`, `kernel`, `copy` is set: a regular expression.

    Bands of one measure do not overlap: the number of stream synchronizations tells a read-back per forward from one
    per layer and from several per attention segment.
    """

    what: str
    why: str
    least: int = 1
    most: int | None = None
    api: str = ""
    kernel: str = ""
    copy: str = ""
    """For the kind of copy, such as `HtoD pageable>device`."""
    least_bytes: int = 0
    most_bytes: int | None = None
    idle_share: float = 0.0
    """At least this part of the projected spans must be idle."""
