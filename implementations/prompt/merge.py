"""Vision tokens into the prompt: after the tower, each image placeholder's embedding gives way to a vision token."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from ..optimized.advice import WRITE_BY_MASK, InCode
from ..optimized.seam import Exactness, Seam
from ..optimized.transfer import Pageable, Pinned


@dataclass(frozen=True, slots=True)
class Prompt:
    """The token ids of a batch, end to end, where the tokenizer left them and where the embedding took them."""

    on_host: Tensor
    """[prompt tokens]"""
    on_device: Tensor
    """[prompt tokens]"""
    placeholder: int
    """The id that stands once for every vision token."""


Merge = Callable[[Tensor, Prompt, Tensor], Tensor]
"""(embeddings [prompt tokens, width], prompt, vision [placeholders, width]) to the embeddings, written in place."""

merge: Seam[Merge] = Seam("merge", in_tower=False)


@merge.naive
def assign_by_mask(embeddings: Tensor, prompt: Prompt, vision: Tensor) -> Tensor:
    """How many places the mask has is read back from the device (a hidden `nonzero`), and the host waits."""
    embeddings[prompt.on_device == prompt.placeholder] = vision
    return embeddings


@merge.optimization(
    "merge-masked-scatter",
    removes="the host sync of a boolean mask: the mask's running sum says on the device which token goes where",
    exactness=Exactness.BIT_EXACT,
    source="vLLM #22105; transformers' masked_scatter",
)
def scatter_by_mask(embeddings: Tensor, prompt: Prompt, vision: Tensor) -> Tensor:
    """Nobody looks at the count, so vision tokens without a placeholder are dropped in silence."""
    return embeddings.masked_scatter_((prompt.on_device == prompt.placeholder).unsqueeze(1), vision)


@merge.optimization(
    "merge-host-indices",
    removes="the host sync of a boolean mask: the places are found on the host, which has the ids, and sent over",
    exactness=Exactness.BIT_EXACT,
    source="TensorRT-LLM #14384, #18636",
    advice=(InCode("write at positions that the host knows, in place of a mask", "read-back", WRITE_BY_MASK),),
)
def copy_to_indices(embeddings: Tensor, prompt: Prompt, vision: Tensor) -> Tensor:
    """The places are found among the ids on the host."""
    send = Pinned if embeddings.device.type == "cuda" else Pageable  # a pageable copy to a GPU would be a sync again
    places = (prompt.on_host == prompt.placeholder).nonzero().squeeze(1)
    return embeddings.index_copy_(0, send()(places, embeddings.device), vision)
