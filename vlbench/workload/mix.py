"""Requests drawn from a measured distribution of production traffic, as an encoder step would meet them.

The shipped distribution is derived from ServeGen (Alibaba Cloud, Qwen-VL requests; Apache-2.0; arXiv
2505.09999).
"""

import math
from collections.abc import Callable, Iterator
from itertools import accumulate, islice
from pathlib import Path
from random import Random
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from vlbench.errors import UsageError
from vlbench.record.base import Record
from vlbench.untrusted.files import Kind, read_json
from vlbench.untrusted.limits import Limit
from vlbench.workload.resize import MAX_ASPECT
from vlbench.workload.scenario import Item, Mix, complaint, parse_pair

USUAL_ASPECT = 4 / 3
DISTRIBUTION = Kind(
    "name a JSON file in mix.distribution",
    Limit.SCENARIO,
    absent="{path} cannot be read ({why}); {remedy}",
    binary="{path} is not JSON; {remedy}",
    broken="{path} is not JSON ({why}); {remedy}",
)
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Distribution(Record, strict=False):
    """How many images a request has, how many tokens an image, and which grid a token count stands for."""

    credit: str
    """Where the figures come from, and under which licence."""
    image_count: dict[Annotated[int, Field(ge=1)], Weight]
    """Images in a request: weight."""
    image_tokens: dict[Annotated[int, Field(ge=1, le=Limit.TOKENS.most)], Weight]
    """Tokens of an image: weight."""
    grids: dict[int, str] = Field(default_factory=dict)
    """Grids that are known, such as "1240": "80x62"."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for name in ("image_count", "image_tokens"):
            if not sum(getattr(self, name).values()) > 0:
                raise ValueError(f"{name} needs at least one weight above zero")
        for tokens, grid in self.grids.items():
            height, width = parse_pair(grid)
            if height * width != 4 * tokens or height % 2 or width % 2:
                raise ValueError(f"grids: {grid!r} does not make {tokens} tokens of 2x2 patches")
        for tokens in self.image_tokens:
            down, across = self.cells(tokens)
            if across > MAX_ASPECT * down:
                raise ValueError(f"image_tokens: {tokens} tokens make no grid but {down}x{across}, which is too narrow")
        return self

    def cells(self, tokens: int) -> tuple[int, int]:
        """Merged cells (down, across) of an image of `tokens` tokens.

        A count says the area only. Where the grid is not known it is taken to be the landscape one whose
        aspect ratio is nearest to 4:3.
        """
        if tokens in self.grids:
            height, width = parse_pair(self.grids[tokens])
            return height // 2, width // 2
        downs = [down for down in range(1, math.isqrt(tokens) + 1) if tokens % down == 0]
        down = min(downs, key=lambda down: abs(math.log(tokens / down / down / USUAL_ASPECT)))
        return down, tokens // down


def read_distribution(path: str) -> Distribution:
    """The distribution in the JSON file at `path`. Raises `UsageError`."""
    try:
        return Distribution.model_validate(read_json(Path(path), DISTRIBUTION))
    except ValidationError as error:
        raise UsageError(f"{path}: {complaint(error, Distribution)}") from None


def draw_items(mix: Mix, seed: int) -> tuple[Item, ...]:
    """The images of `mix.requests` requests, in order of arrival, as far as the token budget admits them.

    An image that does not fit ends the step, as it and what follows wait for the next one; the first image is
    admitted always. Requests are drawn one after the other, so that of two mixes with the same seed the
    larger begins with the smaller. The same seed gives the same images on every machine.
    """
    items: list[Item] = []
    tokens = 0
    for images in islice(requests_of(mix, seed), mix.requests):
        for down, across in images:
            Limit.ITEMS.check(len(items) + 1, f"{mix.distribution}: what it draws", "lower mix.token_budget")
            if items and tokens + down * across > mix.token_budget:
                return tuple(items)
            tokens += down * across
            items.append(Item(grid=f"{2 * down}x{2 * across}"))
    return tuple(items)


def requests_of(mix: Mix, seed: int) -> Iterator[Iterator[tuple[int, int]]]:
    """Requests without end, each the tokens (down, across) of its images, to be drawn before the next request is."""
    distribution = read_distribution(mix.distribution)
    random = Random(f"mix/{seed}")
    cells = {tokens: distribution.cells(tokens) for tokens in distribution.image_tokens}
    images_of = _drawer(random, distribution.image_count)
    tokens_of = _drawer(random, distribution.image_tokens)

    def image() -> tuple[int, int]:
        down, across = (max(1, round(side * mix.scale)) for side in cells[tokens_of()])
        return down, across

    while True:
        yield (image() for _ in range(images_of()))


def _drawer(random: Random, weights: dict[int, float]) -> Callable[[], int]:
    numbers, cumulated = list(weights), list(accumulate(weights.values()))
    return lambda: random.choices(numbers, cum_weights=cumulated)[0]
