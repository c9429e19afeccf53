"""Kernels of our own as operators: one launch on a GPU is one call of torch's dispatcher, and plain torch on a CPU.

So a CPU says whether a result is right, and nothing of the kernel's speed; a device that counts sees one operation.
Their namespace is made from the package's own name, as two revisions of it may be loaded.
"""

from collections.abc import Callable
from typing import Any

import torch

PACKAGE = (__package__ or "").replace(".", "_")
"""Namespace of operators whose body is torch's own, which a count looks into."""
NAMESPACE = f"{PACKAGE}_kernels"
"""Of those made here, each of which it takes for one launch."""
_library: Any = torch.library.Library(NAMESPACE, "FRAGMENT")  # type: ignore[no-untyped-call]


def operator(
    schema: str, *, plain: Callable[..., Any], gpu: Callable[..., Any], fake: Callable[..., Any]
) -> Callable[..., Any]:
    """The operator of a schema such as "turn_(Tensor(a!) x, int by) -> ()", to be called with the schema's arguments.

    `plain` computes it on a CPU, `gpu` on CUDA in one kernel and without waiting; `fake` returns tensors of the shapes
    and dtypes that it returns.
    """
    name = schema.partition("(")[0]
    _library.define(schema)
    _library.impl(name, plain, "CPU")
    _library.impl(name, gpu, "CUDA")
    torch.library.register_fake(f"{NAMESPACE}::{name}", fake, lib=_library)
    return getattr(getattr(torch.ops, NAMESPACE), name).default
