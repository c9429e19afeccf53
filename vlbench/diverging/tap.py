"""A forward that is tapped: each stage hands its tensor over, and may be given another one in its place.

Stages are found by the names of a tower's modules, which are those of the keys in released checkpoints. What they hand
over has a row for each patch, or for each token behind the merger, in the order of the input: the window order is
undone, so that a row means the same in every tower.
"""

import copy
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from vlbench.diverging.rows import order_between, rope_table, segment_table, to_input, to_stream
from vlbench.errors import UsageError
from vlbench.record.precision import turn_tf32_off
from vlbench.trial.accuracy import Input

Tell = Callable[[str, Tensor], None]
"""Told of each stage in the order in which they end: its name, and its rows in the order of the input."""
Stages = Mapping[str, Tensor]
"""Rows by the name of their stage."""
NEEDED = ("patch_embed", "blocks", "merger")


def tap(tower: nn.Module, entry: Input, unit: int, tell: Tell, feed: Stages | None = None) -> None:
    """Call `tower` once, and `tell` of its stages; each goes on with what `feed` has for it, else with its own.

    A token is `unit` patches. What follows from the grids alone, rope and segments, is told and never fed. Raises
    UsageError for a tower without the modules that stages are found by, and whatever the tower raises.
    """
    heard = _Tap(tell, feed or {}, unit)
    turn_tf32_off()
    with ExitStack() as hooks, torch.inference_mode():
        heard.hook(stem_of(tower), hooks)
        parts = copy.deepcopy(entry).output(tower)
        for name, part in parts.items():
            tell(name, part.clone())


def stem_of(tower: nn.Module) -> Any:
    """The module inside of `tower` that has the blocks. Raises UsageError where none has."""
    for module in tower.modules():
        if isinstance(getattr(module, "blocks", None), nn.ModuleList) and all(hasattr(module, each) for each in NEEDED):
            return module
    raise UsageError(
        f"{type(tower).__name__} has no modules {', '.join(NEEDED)}, by which --where finds its stages; give them the "
        "names that they have in released checkpoints"
    )


class _Tap:
    """What the hooks of one call share."""

    def __init__(self, tell: Tell, feed: Stages, unit: int) -> None:
        self.tell, self.feed, self.unit = tell, feed, unit
        self.order: Tensor | None = None
        self.embedded: Tensor | None = None

    def hook(self, stem: Any, hooks: ExitStack) -> None:
        """Hook the modules of a tower, until `hooks` are closed."""
        self.after(stem.patch_embed, "patch_embed", hooks)
        for index, block in enumerate(stem.blocks):
            name = f"block[{index}]"
            if index == 0:
                self.before(block, "embedded", hooks)
            if (attention := getattr(block, "attn", None)) is not None:
                self.before(attention, f"{name}.norm1", hooks)
                hooks.enter_context(attention.register_forward_pre_hook(self.tables(name), with_kwargs=True))
                self.after(getattr(attention, "qkv", None), f"{name}.qkv", hooks)
                self.before(getattr(attention, "proj", None), f"{name}.attended", hooks)
                self.after(attention, f"{name}.attention", hooks)
            if (mlp := getattr(block, "mlp", None)) is not None:
                self.before(mlp, f"{name}.norm2", hooks)
                self.after(mlp, f"{name}.mlp", hooks)
            self.after(block, f"{name}.sum", hooks)
        self.before(next((each for each in stem.merger.modules() if isinstance(each, nn.Linear)), None),
                    "merger.norm", hooks)  # fmt: skip
        self.after(stem.merger, "merger", hooks)

    def before(self, module: nn.Module | None, name: str, hooks: ExitStack) -> None:
        """A stage that ends where `module` begins: its first argument."""

        def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
            if args:
                return (self.hand_over(name, args[0]), *args[1:]), kwargs
            key = next(iter(kwargs))
            return args, kwargs | {key: self.hand_over(name, kwargs[key])}

        if module is not None:
            hooks.enter_context(module.register_forward_pre_hook(hook, with_kwargs=True))

    def after(self, module: nn.Module | None, name: str, hooks: ExitStack) -> None:
        """A stage that ends with `module`: its result."""
        if module is not None:
            hooks.enter_context(module.register_forward_hook(lambda _, args, result: self.hand_over(name, result)))

    def tables(self, block: str) -> Callable[..., None]:
        """A hook that tells of what an attention is called with beside the hidden states."""

        def hook(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            states, *given = [*args, *kwargs.values()]
            heads = getattr(module, "num_heads", 0)
            rope = rope_table(given, states.shape[-1] // heads if heads else 0)
            if rope is not None:
                self.tell(f"{block}.rope", to_input(rope, self.order))
            segments = segment_table(given, self.order, len(states))
            if segments is not None:
                self.tell(f"{block}.segments", segments)

        return hook

    def hand_over(self, name: str, result: Any) -> Any:
        """Tell of a stage; what goes on is what is fed for it, else the result itself.

        Of several results the first are the hidden states.
        """
        if isinstance(result, tuple) and result:
            return (self.hand_over(name, result[0]), *result[1:])
        if not isinstance(result, Tensor) or result.ndim < 2:
            return result
        rows = result.detach().reshape(-1, result.shape[-1])
        if name == "embedded" and self.embedded is not None:
            self.order = order_between(self.embedded, rows, self.unit)
        self.tell(name, to_input(rows, self.order))
        fed = self.feed.get(name)
        goes_on = result
        if fed is not None and fed.shape == rows.shape:
            goes_on = to_stream(fed.to(rows), self.order).view(result.shape)
        if name == "patch_embed":
            self.embedded = goes_on.detach().reshape(rows.shape)
        return goes_on
