"""What a baseline keeps of a tower's outputs: sketches of them, on a fixed list of small calls."""

from pydantic import Field

from vlbench.record.base import Record


class StoredPart(Record):
    """One tensor of an output."""

    name: str
    form: str
    """dtype and shape, such as 'float32 [8, 3584]'."""
    sketch: str
    """As `vlbench.trial.sketch` makes it: 20 bytes a token, in base64."""


class StoredCall(Record):
    """One call."""

    name: str
    """Grids and dtype, such as 1x2x4+2x2x4 float32."""
    parts: tuple[StoredPart, ...] = ()
    raised: str = ""
    """Where it has no parts: what it raised when it was stored. It is then not compared."""


class StoredOutputs(Record):
    """The outputs of a tower with weights that its factory draws under a fixed seed, on a CPU."""

    tower: str
    """As `--tower` takes it."""
    names: str
    """SHA-256 of the names and shapes of its weights."""
    weights: str
    """A sketch of their values: 8 bytes a tensor, in base64."""
    calls: tuple[StoredCall, ...] = Field(min_length=1)
