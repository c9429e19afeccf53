"""What a vision tower returns: its tokens alone, or with further tensors by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

TOKENS = "tokens"

Parts = dict[str, Tensor]
"""The tensors of an output by name, `tokens` first."""


@dataclass(frozen=True, eq=False)
class VisionOutput:
    """Tokens, and whatever else the language model takes, such as the features of a tower's middle blocks."""

    tokens: Tensor
    """[N / merge**2, width]"""
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    """Further tensors by name, of any shape. Each is judged by itself."""


def with_features(tokens: Tensor, kept: Sequence[Tensor]) -> Tensor | VisionOutput:
    """The output of a tower: its tokens, with the features of its levels where there are any."""
    named = {f"deepstack[{level}]": each for level, each in enumerate(kept)}
    return VisionOutput(tokens, named) if named else tokens


class OutputError(ValueError):
    """A tower returned what no tower returns. `subject` and `problem` are the halves of the sentence."""

    def __init__(self, problem: str, subject: str = "the output", remedy: str = "") -> None:
        super().__init__(f"{subject} {problem}{remedy}")
        self.subject = subject
        self.problem = problem

    @property
    def timed(self) -> str:
        """The sentence about a timed round."""
        return f"{self.subject} of a timed round {self.problem}"


REMEDY = "; return a tensor or a vlbench.VisionOutput, or make one in `tokens` of a vlbench.Tower"


def unpack(returned: object, *kinds: type[Tensor]) -> Parts:
    """The parts of what a tower returned. Call it inside the clock, so that nothing can put off its work.

    Each part has to be exactly a torch.Tensor (or of another of the classes `kinds`), since a subclass could compute
    later. Raises OutputError.
    """
    if type(returned) is not VisionOutput:
        return held({TOKENS: returned}, *kinds)
    further = returned.parts
    if not isinstance(further, Mapping) or not all(type(name) is str and name != TOKENS for name in further):
        raise OutputError("has parts that are not tensors by names other than 'tokens'", remedy=REMEDY)
    return held({TOKENS: returned.tokens, **further}, *kinds)


def held(parts: Mapping[str, object], *kinds: type[Tensor]) -> Parts:
    """The same parts, each of which is exactly a torch.Tensor, or of another of the classes `kinds`.

    Raises OutputError.
    """
    plain: Parts = {}
    for name, part in parts.items():
        if not isinstance(part, Tensor) or type(part) not in (Tensor, *kinds):
            raise OutputError(f"is a {type(part).__name__}", called(name, parts), f", not a plain tensor{REMEDY}")
        plain[name] = part
    return plain


def packed(parts: Parts) -> VisionOutput:
    """The output that these are the parts of."""
    return VisionOutput(parts[TOKENS], {name: part for name, part in parts.items() if name != TOKENS})


def called(name: str, parts: Mapping[str, object]) -> str:
    """A part in words: where there are no others, it is the output."""
    return f"part {name!r} of the output" if len(parts) > 1 else "the output"
