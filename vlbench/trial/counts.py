"""Exact counts of what one forward asks of torch: the same on every run, unlike any time."""

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from vlbench.implementations.stage import listen
from vlbench.profiling.tally import Charge, Tally, without_block
from vlbench.record.schema import Counts

_FREE = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "_unsafe_view"}
"""Allocations, and a view that its schema does not call one."""


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = 0
        self.attention_calls = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Without this, the first operation imports the whole of torch._dynamo: 1.5 s in every trial."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        with self:  # in inference mode composite operations arrive whole
            parts = func.decompose(*args, **(kwargs or {}))
        if parts is not NotImplemented:
            return parts
        name = func._schema.name.removeprefix("aten::")
        is_view = any(result.alias_info and not result.alias_info.is_write for result in func._schema.returns)
        if not is_view and name not in _FREE:
            self.operations += 1
        if name.startswith("_scaled_dot_product"):
            self.attention_calls += 1
        return func(*args, **(kwargs or {}))


def count(call: Callable[[], object]) -> Counts:
    """Count one call, in the mode in which it is timed."""
    with torch.inference_mode(), _Counter() as counter:
        call()
    return Counts(aten_operations=counter.operations, attention_calls=counter.attention_calls)


def count_stages(
    call: Callable[[], object], name_of: Callable[[str], str] = without_block
) -> tuple[dict[str, Charge], dict[str, Charge]]:
    """Operations and attention calls of one call by stage, counted as `count` counts them."""
    with torch.inference_mode(), _Counter() as counter:
        tally = Tally(lambda: (counter.operations, counter.attention_calls))
        with listen(tally):
            call()
    operations = tally.charges(lambda start, end: end[0] - start[0], name_of)
    return operations, tally.charges(lambda start, end: end[1] - start[1], name_of)


def is_compiled(tower: nn.Module) -> bool:
    """Does torch.compile run any of it? By the three ways in which a module can be compiled.

    Whoever compiles has imported torch._dynamo; naming it here would import it: 3 s in every trial.
    """
    dynamo = sys.modules.get("torch._dynamo")
    return dynamo is not None and any(
        isinstance(module, dynamo.OptimizedModule)
        or module._compiled_call_impl is not None
        or hasattr(module.forward, "_torchdynamo_orig_callable")
        for module in tower.modules()
    )
