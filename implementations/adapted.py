"""Another project's module behind the call of ours: `(pixels, grid_thw) -> tokens`, with its stages marked.

Such a module names no stages: hooks do, driven by a map from module names to stage names.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from inspect import signature
from typing import Any

from torch import Tensor, nn

from .output import VisionOutput
from .stage import listening, stage

Arguments = Callable[[Tensor, Tensor], tuple[Any, ...] | dict[str, Any]]
"""From pixels [N, patch_dim] on the device and grids [items, 3] on the host to the arguments of a call."""
Tokens = Callable[[Any], Tensor | VisionOutput]
"""From what a call returns to the tokens [N / merge**2, width], or these and further tensors."""
Prepare = Callable[..., dict[str, Any]]
"""From the module, the grids [items, 3] where its call takes them, and whether lengths of segments are wanted on the
host, to what a call takes beside its arguments, by name: all of it that follows from the grids. One that takes two
arguments has no lengths to have on the host."""


def takes_host_lengths(prepare: Prepare) -> bool:
    """Is it asked whether lengths are wanted on the host? Raises TypeError where it takes neither two nor three."""
    try:
        taken = signature(prepare)
    except ValueError:  # of a built-in function nothing is known
        return True
    for given in (3, 2):
        try:
            taken.bind(*range(given))
        except TypeError:
            continue
        return given == 3
    raise TypeError(f"prepare takes {taken}; write it as prepare(module, grid_thw, host_lengths)")


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

        With `host_lengths` those of segments are on the host. Raises TypeError where the module takes no plan, and
        where `prepare` makes none.
        """
        if self.prepare is None:
            raise TypeError(f"{type(self.module).__name__} takes no plan")
        asked = (host_lengths,) if takes_host_lengths(self.prepare) else ()
        with stage("plan"):
            made = self.prepare(self.module, grid_thw, *asked)
        if not isinstance(made, dict) or not made:
            what = "an empty dict" if isinstance(made, dict) else f"a {type(made).__name__}"
            raise TypeError(f"prepare gave {what}; it must give a dict of what the call takes beside its arguments")
        return made

    def forward(
        self, pixels: Tensor, grid_thw: Tensor, *, plan: Mapping[str, Any] | None = None
    ) -> Tensor | VisionOutput:
        """Pixels [N, patch_dim] and grids [items, 3] of (frames, rows, columns) to tokens [N / merge**2, width]."""
        if self.stages is None or not listening():
            return self._call(pixels, grid_thw, plan)
        with marked(self.module, self.stages), stage("forward"):
            return self._call(pixels, grid_thw, plan)

    def _call(self, pixels: Tensor, grid_thw: Tensor, plan: Mapping[str, Any] | None) -> Tensor | VisionOutput:
        arguments = self.arguments(pixels, grid_thw)
        by_place, by_name = ((), arguments) if isinstance(arguments, dict) else (arguments, {})
        try:
            returned = self.module(*by_place, **by_name, **({} if plan is None else plan))
        except TypeError as error:  # looked into only now, so that a call that goes well waits for no check
            if reason := self._why_not(by_place, by_name, plan):
                raise TypeError(f"{reason}; prepare must give a dict of what the call takes beside them") from error
            raise
        return returned if self.tokens is None else self.tokens(returned)

    def _why_not(self, by_place: tuple[Any, ...], by_name: dict[str, Any], plan: object) -> str | None:
        """Why a call cannot take this plan beside its arguments; None where it can, or brings none."""
        if plan is None:
            return None
        if not isinstance(plan, Mapping):
            return f"the plan is a {type(plan).__name__}"
        if twice := [key for key in plan if key in by_name]:
            return f"the plan has {twice[0]!r}, which is an argument of the call already"
        try:
            signature(self.module.forward).bind(*by_place, **by_name, **plan)
        except (TypeError, ValueError) as error:
            return f"{type(self.module).__name__} with a plan of {', '.join(map(str, plan))}: {error}"
        return None


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

    def check_lengths(self, grid_thw: Tensor) -> None:
        """Is another thing handed in with lengths on the host than without? Raises TypeError; needs a device."""
        if self.host_lengths and isinstance(self.tower, AdaptedTower):
            there, here = (_kinds(self.tower.plan(grid_thw, host_lengths=each)) for each in (False, True))
            if there == here:
                raise TypeError(
                    "prepare gives the same with host_lengths as without; put the lengths on the host then, or write "
                    "it as prepare(module, grid_thw)"
                )

    def forward(self, pixels: Tensor, grid_thw: Tensor, *, plan: Any = None) -> Tensor | VisionOutput:
        """Pixels [N, patch_dim] and grids [items, 3] to what the tower makes of them."""
        grid_thw = handed_over(self, pixels, grid_thw)
        tokens: Tensor | VisionOutput = self.tower(pixels, grid_thw, plan=self.plan(grid_thw) if plan is None else plan)
        return tokens

    def caches(self) -> dict[str, Any]:
        """The tower's."""
        return dict(getattr(self.tower, "caches", dict)())


def _kinds(plan: Mapping[str, Any]) -> dict[str, object]:
    """By key: where a tensor is, or the numbers that it is; what is neither is equal to nothing."""

    def kind(value: object) -> object:
        if isinstance(value, Tensor):
            return value.device.type
        parts = value if isinstance(value, list | tuple) else [value]
        return parts if all(isinstance(each, int | float) for each in parts) else object()

    return {key: kind(value) for key, value in plan.items()}


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
