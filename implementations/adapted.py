"""Another project's module behind the call of ours: `(pixels, grid_thw) -> tokens`, with its stages marked.

Such a module names no stages: hooks do, driven by a map from module names to stage names.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from .output import VisionOutput
from .stage import listening, stage

Arguments = Callable[[Tensor, Tensor], tuple[Any, ...] | dict[str, Any]]
"""From pixels [N, patch_dim] on the device and grids [items, 3] on the host to the arguments of a call."""
Tokens = Callable[[Any], Tensor | VisionOutput]
"""From what a call returns to the tokens [N / merge**2, width], or these and further tensors."""
Prepare = Callable[[nn.Module, Tensor, bool], dict[str, Any]]
"""From the module, the grids [items, 3] where its call takes them, and whether lengths of segments are wanted on the
host, to what a call takes beside its arguments, by name: all of it that follows from the grids."""


def pixels_and_grid(pixels: Tensor, grid_thw: Tensor) -> tuple[Tensor, Tensor]:
    """What a Qwen-VL tower takes: the pixels, and the grids on the same device."""
    return pixels, grid_thw.to(pixels.device)


def handed_over(module: nn.Module, pixels: Tensor, grid_thw: Tensor) -> Tensor:
    """The grids [items, 3] where `module` takes them: a call then copies them no more, and pays for no copy of ours."""
    called = module.tower if isinstance(module, HandedIn) else module
    sends = isinstance(called, AdaptedTower) and called.arguments is pixels_and_grid
    return grid_thw.to(pixels.device) if sends else grid_thw


class AdaptedTower(nn.Module):
    """Calls `module` with `arguments`, takes the `tokens` out of its result, and marks stages while anyone listens."""

    def __init__(
        self,
        module: nn.Module,
        arguments: Arguments | None = None,
        tokens: Tokens | None = None,
        stages: Mapping[str, str] | None = None,
        prepare: Prepare | None = None,
    ) -> None:
        """`stages` maps patterns of module names to stages (see `match_modules`); None: it marks its own.

        `prepare` makes its plan; None where it takes none.

        Raises ValueError for a pattern that fits no module.
        """
        super().__init__()
        self.module = module
        self.training = module.training
        self.arguments = arguments or pixels_and_grid
        self.tokens = tokens
        self.stages = None if stages is None else match_modules(module, stages)
        self.prepare = prepare

    def plan(self, grid_thw: Tensor, *, host_lengths: bool = False) -> dict[str, Any]:
        """What a call takes beside its arguments, by name, from grids [items, 3] as `handed_over` has them.

        With `host_lengths` those of segments are on the host. Raises TypeError where the module takes no plan.
        """
        if self.prepare is None:
            raise TypeError(f"{type(self.module).__name__} takes no plan")
        with stage("plan"):
            return self.prepare(self.module, grid_thw, host_lengths)

    def forward(
        self, pixels: Tensor, grid_thw: Tensor, *, plan: Mapping[str, Any] | None = None
    ) -> Tensor | VisionOutput:
        """Pixels [N, patch_dim] and grids [items, 3] of (frames, rows, columns) to tokens [N / merge**2, width]."""
        if self.stages is None or not listening():
            return self._call(pixels, grid_thw, plan or {})
        with marked(self.module, self.stages), stage("forward"):
            return self._call(pixels, grid_thw, plan or {})

    def _call(self, pixels: Tensor, grid_thw: Tensor, plan: Mapping[str, Any]) -> Tensor | VisionOutput:
        arguments = self.arguments(pixels, grid_thw)
        by_place, by_name = ((), arguments) if isinstance(arguments, dict) else (arguments, {})
        returned = self.module(*by_place, **by_name, **plan)
        return returned if self.tokens is None else self.tokens(returned)


class HandedIn(nn.Module):
    """Calls `tower` with a plan that was made before, or makes it first where a call brings none."""

    def __init__(self, tower: nn.Module, *, host_lengths: bool) -> None:
        """The tower has `plan(grid_thw, host_lengths=...)`, and its call takes `plan`."""
        super().__init__()
        self.tower: Any = tower
        self.host_lengths = host_lengths
        self.training = tower.training

    def plan(self, grid_thw: Tensor) -> Any:
        """The tower's plan for these grids, which are where `handed_over` has them."""
        return self.tower.plan(grid_thw, host_lengths=self.host_lengths)

    def forward(self, pixels: Tensor, grid_thw: Tensor, *, plan: Any = None) -> Tensor | VisionOutput:
        """Pixels [N, patch_dim] and grids [items, 3] to what the tower makes of them."""
        grid_thw = handed_over(self, pixels, grid_thw)
        tokens: Tensor | VisionOutput = self.tower(pixels, grid_thw, plan=self.plan(grid_thw) if plan is None else plan)
        return tokens

    def caches(self) -> dict[str, Any]:
        """The tower's."""
        return dict(getattr(self.tower, "caches", dict)())


def match_modules(module: nn.Module, names: Mapping[str, str]) -> dict[str, str]:
    """Module name -> stage name, for the modules inside `module` that a pattern of `names` fits.

    In a pattern `*` stands for one part of a dotted name; `{}` in the stage name is what it stood for, as in
    `"blocks.*.attn": "block[{}].attention"`. The first pattern that fits counts. Raises ValueError for a pattern that
    fits no module, or a stage name with more `{}` than its pattern has `*`.
    """
    patterns = {pattern: re.compile(re.escape(pattern).replace(r"\*", r"([^.]+)")) for pattern in names}
    found: dict[str, str] = {}
    used = set()
    for name, _ in module.named_modules():
        for pattern, expression in patterns.items():
            if match := expression.fullmatch(name):
                used.add(pattern)
                found.setdefault(name, _filled(names[pattern], match.groups(), pattern))
    if unused := [pattern for pattern in names if pattern not in used]:
        raise ValueError(f"stages: the pattern {unused[0]!r} fits no module of {type(module).__name__}; mend its name")
    return found


def _filled(stage_name: str, parts: tuple[str, ...], pattern: str) -> str:
    try:
        return stage_name.format(*parts)
    except (IndexError, KeyError, ValueError):
        raise ValueError(
            f"stages: {stage_name!r} asks for more than its pattern {pattern!r} has; write one {{}} for each *"
        ) from None


@contextmanager
def marked(module: nn.Module, stages: Mapping[str, str]) -> Iterator[None]:
    """Inside, every call of a module named in `stages` is a stage. Outside, the module carries no hooks."""
    modules = dict(module.named_modules())
    with ExitStack() as hooks:
        for name, stage_name in stages.items():
            enter, leave = _hooks(stage_name)
            hooks.enter_context(modules[name].register_forward_pre_hook(enter, prepend=True))
            # Called for a forward that raises, too: a stage that was entered must be left.
            hooks.enter_context(modules[name].register_forward_hook(leave, always_call=True))
        yield


def _hooks(stage_name: str) -> tuple[Callable[..., None], Callable[..., None]]:
    open_stages: list[Any] = []  # a module may be called inside itself

    def enter(*_: object) -> None:
        mark = stage(stage_name)
        mark.__enter__()
        open_stages.append(mark)

    def leave(*_: object) -> None:
        open_stages.pop().__exit__(None, None, None)

    return enter, leave
