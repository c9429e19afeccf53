"""Prompts of four kinds of request, and the seams of what is done to them on the host."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from vlbench.implementations.config import Family, VisionConfig
from vlbench.implementations.output import OutputError, Parts
from vlbench.implementations.prompt.mrope import RULES, Item, PositionRule, Request, mrope, runs_of
from vlbench.implementations.prompt.pruning import cosine_error, pruning
from vlbench.implementations.prompt.text_only import preparation
from vlbench.workload import seam_inputs as _listed_before  # noqa: F401  whichever is imported first
from vlbench.workload.library import prompt_tables
from vlbench.workload.seam_case import CONTENTS, LeavingOut, Loss, SeamInputs, Setting, Way, seam_case

PICTURE = Item((1, 36, 36))
"""512 x 512 pixels in patches of 14."""
CLIP = Item((8, 20, 36), "video", seconds=1.0)
"""Eight seconds of 280 x 504 pixels, two frames a second."""
ITEMS = {"picture": PICTURE, "video": CLIP}


@dataclass(frozen=True)
class Asked:
    """A request: tokens of text, and behind some of them pictures and videos."""

    text: int
    items: tuple[Item, ...] = ()


@dataclass(frozen=True)
class Prompts:
    """One batch of requests."""

    title: str
    requests: tuple[Asked, ...]
    rule: PositionRule | None = None
    """In place of that of the model at hand."""


def _prompts(title: str, requests: Sequence[Mapping[str, Any]], family: Family | None = None) -> Prompts:
    asked = (Asked(each["text"], tuple(ITEMS[item] for item in each.get("items", ()))) for each in requests)
    return Prompts(title, tuple(asked), RULES[family] if family else None)


PROMPTS = {name: _prompts(**table) for name, table in prompt_tables().items()}
"""By the name of the scenario."""


def _tokens(requests: Sequence[Asked]) -> int:
    """Of all of them, in Qwen2-VL's patches."""
    return sum(each.text + sum(prod(item.grid) // 4 for item in each.items) for each in requests)


WITH_TEXT_ALONE = [name for name, prompts in PROMPTS.items() if not all(each.items for each in prompts.requests)]
"""Those that have a request of text alone."""
SIZES = {name: _tokens(prompts.requests) for name, prompts in PROMPTS.items()}
BY_SIZE = {SIZES[name]: prompts for name, prompts in PROMPTS.items()}
VOCABULARY = 150_000
"""Ids below it are text."""


def prompt_ids(asked: Asked, rule: PositionRule, setting: Setting, *, expanded: bool) -> Tensor:
    """[tokens]: text with its items somewhere in it, each run a placeholder, or (`expanded`) one for each token.

    Before each run there is text: a picture's beginning is marked, and a frame of Qwen3-VL has its time.
    """
    ids = torch.randint(VOCABULARY, (asked.text,), generator=setting.draw).tolist()
    runs = [[token] * (prod(item.merged(rule)) if expanded else 1) for item, token, _ in runs_of(asked.items, rule)]
    places = (1 + torch.randperm(asked.text - 1, generator=setting.draw)[: len(runs)]).sort().values.tolist()
    for place, run in zip(reversed(places), reversed(runs), strict=True):
        ids[place:place] = run
    return torch.tensor(ids)


def _fed(size: int, config: VisionConfig) -> tuple[tuple[Asked, ...], PositionRule]:
    prompts = BY_SIZE[size]
    return prompts.requests, prompts.rule or RULES[config.family]


@seam_case("mrope", mrope, sizes={name: size for name, size in SIZES.items() if name != "prompt-text"})
def positions_of_prompts(size: int, setting: Setting) -> SeamInputs:
    """Three positions for each token of the prompts of one batch, on the host."""
    asked, rule = _fed(size, setting.config)

    def way(flags: frozenset[str], dtype: torch.dtype) -> Way:
        chosen = mrope.way_of(flags)
        return lambda *ids: chosen([Request(one, each.items) for one, each in zip(ids, asked, strict=True)], rule)

    contents = range(CONTENTS)
    return SeamInputs([tuple(prompt_ids(each, rule, setting, expanded=True) for each in asked) for _ in contents], way)


@seam_case("preparation", preparation, sizes={name: SIZES[name] for name in WITH_TEXT_ALONE})
def requests_made_ready(size: int, setting: Setting) -> SeamInputs:
    """Placeholders, their mask and positions for each request of one batch, on the host."""
    asked, rule = _fed(size, setting.config)

    def way(flags: frozenset[str], dtype: torch.dtype) -> Way:
        chosen = preparation.way_of(flags)

        def call(*ids: Tensor) -> tuple[Tensor, ...]:
            prepared = [chosen(one, each.items, rule) for one, each in zip(ids, asked, strict=True)]
            return tuple(part for request in prepared for part in request)

        return call

    contents = range(CONTENTS)
    return SeamInputs([tuple(prompt_ids(each, rule, setting, expanded=False) for each in asked) for _ in contents], way)


@seam_case("pruning", pruning, sizes={"prompt-video": SIZES["prompt-video"]})
def tokens_of_a_video(size: int, setting: Setting) -> SeamInputs:
    """The tokens of a video that go into one prompt, with its ids and positions."""
    (asked,), rule = _fed(size, setting.config)
    (clip,) = asked.items
    frames, *sides = clip.merged(rule)

    def way(flags: frozenset[str], dtype: torch.dtype) -> Way:
        chosen = pruning.way_of(flags)
        return lambda vision, ids: chosen(vision, Request(ids, asked.items), rule)

    def loss(output: Parts, whole: Parts) -> Loss:
        kept = output["kept"]
        return Loss(len(kept) / len(whole["kept"]), cosine_error(whole["tokens"], kept, prod(sides)))

    made = [
        (moving_video(frames, prod(sides), setting), prompt_ids(asked, rule, setting, expanded=True))
        for _ in range(CONTENTS)
    ]
    return SeamInputs(made, way, LeavingOut(lambda output, whole: put_back(output, whole, rule.video_token), loss))


def moving_video(frames: int, cells: int, setting: Setting) -> Tensor:
    """[frames * cells, width]: each cell walks on from frame to frame at a speed of its own, from still to half of a
    token's length; what a real video loses is for real videos to say."""
    steps = torch.randn(frames, cells, setting.config.out_hidden_size, generator=setting.draw)
    steps[1:] *= torch.rand(cells, 1, generator=setting.draw) / 2
    return steps.cumsum(0).flatten(0, 1).to(setting.device, setting.dtype)


def put_back(output: Parts, whole: Parts, video_token: int) -> Parts:
    """`output` of a way of pruning with what it leaves out from `whole`, the naive way's. OutputError for a misfit."""
    stays = whole["ids"] != video_token
    places: dict[str, tuple[slice | Tensor, ...]] = {"ids": (stays,), "positions": (slice(None), stays)}
    filled = {name: part.to(output[name].dtype, copy=True) for name, part in whole.items() if name in output}
    try:
        kept = output["kept"]
        stays[stays.logical_not().nonzero().squeeze(1)[kept]] = True
        for name, place in {"tokens": (kept,), **places}.items():
            filled[name][place] = output[name]
    except (KeyError, IndexError, RuntimeError) as error:
        raise OutputError(f"does not fit the tokens that it says it keeps ({error})") from None
    return filled | {name: part for name, part in output.items() if name not in ("kept", "tokens", *places)}
