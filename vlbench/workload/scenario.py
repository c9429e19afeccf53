"""What a scenario file may say: one pydantic model per table, scalars only, as sweeps are unrolled before."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError, model_validator

from vlbench.errors import UsageError
from vlbench.record.base import Grid, Record, printable_line
from vlbench.untrusted.limits import Limit
from vlbench.workload.resize import CLASS_MAX_PIXELS, HUB_MAX_PIXELS, check_aspect
from vlbench.workload.sweep import dotted

PIXEL_LIMITS = {"hub": HUB_MAX_PIXELS, "1M": CLASS_MAX_PIXELS}
LARGEST_PICTURE = 178_956_970
"""Pixels above which Pillow takes a file for a decompression bomb."""
PIXELS_PER_PATCH = 14 * 14
Line = Annotated[str, Field(min_length=1), AfterValidator(printable_line)]


def parse_pair(text: str) -> tuple[int, int]:
    """(480, 640) of "480x640", height first. Raises ValueError with the remedy."""
    if not re.fullmatch(r"[1-9][0-9]{0,5}x[1-9][0-9]{0,5}", text):
        raise ValueError(f"{text!r} has to be HEIGHTxWIDTH in whole numbers above zero, such as '480x640'")
    height, width = text.split("x")
    return int(height), int(width)


def _sound_pair(text: str, pixels_per_unit: int) -> tuple[int, int]:
    height, width = parse_pair(text)
    try:
        check_aspect(height, width)
    except UsageError as error:
        raise ValueError(str(error)) from None
    if height * width * pixels_per_unit > LARGEST_PICTURE:
        raise ValueError(f"{text!r} is above {LARGEST_PICTURE:,} pixels, the most that Pillow opens; make it smaller")
    return height, width


def _check_size(text: str) -> str:
    _sound_pair(text, 1)
    return text


def _check_grid(text: str) -> str:
    height, width = _sound_pair(text, PIXELS_PER_PATCH)
    if height % 2 or width % 2:
        even = f"{height + height % 2}x{width + width % 2}"
        raise ValueError(f"{text!r} must be even both ways, since 2x2 patches become one token; {even!r} would do")
    return text


def _check_limit(value: object) -> object:
    named = isinstance(value, str) and value in PIXEL_LIMITS
    if not named and (isinstance(value, bool) or not isinstance(value, int) or value < 56 * 56):
        raise ValueError(f"{value!r} has to be 'hub', '1M' or a number of pixels from 3136 up")
    return value


class Item(Record, strict=True):
    """One kind of picture or video that is fed in, `count` times."""

    kind: Literal["image", "video"] = "image"
    """A still image or a video."""
    size: Annotated[str, AfterValidator(_check_size)] | None = None
    """Height x width in pixels before preprocessing, such as '480x640'."""
    grid: Annotated[str, AfterValidator(_check_grid)] | None = None
    """In place of size: patches down x patches across, such as '34x46'; no limit applies."""
    count: int = Field(default=1, ge=1, le=Limit.ITEMS.most)
    """How many of them, each cropped differently."""
    frames: int | None = Field(default=None, ge=1, le=Limit.FRAMES.most)
    """Frames of a video; an odd last one is repeated."""

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        if (self.size is None) == (self.grid is None):
            raise ValueError("give either size (pixels, such as '480x640') or grid (patches, such as '34x46')")
        if self.kind == "video" and self.frames is None:
            raise ValueError("a video needs frames, such as frames = 16")
        if self.kind == "image" and self.frames is not None:
            raise ValueError("an image has no frames; remove frames or say kind = 'video'")
        return self


class Mix(Record, strict=True):
    """Requests drawn from a measured distribution, as one encoder step of a serving stack would meet them."""

    requests: int = Field(ge=1, le=Limit.REQUESTS.most)
    """Requests that wait for this encoder step (K)."""
    token_budget: int = Field(ge=1)
    """Vision tokens that one encoder step takes; the rest waits."""
    distribution: str
    """JSON file with the distribution, relative to the scenario file."""
    scale: float = Field(default=1.0, gt=0, le=1)
    """Factor on both sides of each picture that is drawn."""


class _Feed(Record, strict=True):
    """What a scenario feeds in, once sweeps are unrolled."""

    source: Literal["photos", "noise"] = "photos"
    """Real photographs, or normally distributed pixel values."""
    limit: Annotated[str | int, BeforeValidator(_check_limit)] = "hub"
    """Most pixels per picture or frame: 'hub' = as the model's own files say, '1M' = 1003520, or a number."""
    item: tuple[Item, ...] = Field(default=(), strict=False)
    """The pictures and videos, one [[item]] table per kind."""
    mix: Mix | None = None
    """In place of items: requests drawn from a distribution."""

    @model_validator(mode="after")
    def _something_to_feed(self) -> Self:
        if bool(self.item) == (self.mix is not None):
            raise ValueError("give either [[item]] tables or one [mix] table")
        Limit.ITEMS.check(sum(item.count for item in self.item), "the sum of all count", "feed in fewer")
        return self

    @property
    def max_pixels(self) -> int:
        """The limit in pixels."""
        return PIXEL_LIMITS[self.limit] if isinstance(self.limit, str) else self.limit


class ScenarioPoint(_Feed):
    """One point of a scenario's sweep: everything `build_batch` needs. Survives a trip through JSON."""

    scenario: str
    """Name of the scenario."""
    label: str = ""
    """Which point of the sweep, such as 'count=4'; empty without a sweep."""
    why_scaled: str | None = None
    """On a CPU: why this is smaller than on a GPU."""
    whole: bool = False
    """Is each item one of the user's pictures, in order and not cropped?"""
    calls: tuple[tuple[Grid, ...], ...] = ()
    """Recorded calls, in order: `item` is then the most frequent of them."""


class ScenarioFile(_Feed):
    """A scenario file without its [cpu] table, once its sweeps are unrolled."""

    title: Line
    """One line that says what is fed in."""
    stands_for: Line
    """One line that says which use in production it stands for."""


class CpuTable(_Feed):
    """The [cpu] table laid over what the file feeds in, so that a run on a CPU ends in seconds."""

    why: Line
    """One sentence that says why it is smaller on a CPU; it is printed."""


class SeamPoint(Record):
    """One seam alone at one size, in place of a scenario's point. It travels to the measuring process as JSON."""

    seam: str
    size: int
    label: str
    """Which rung of the ladder of sizes, such as "n=1296"."""
    why_scaled: None = None

    @property
    def scenario(self) -> str:
        """What stands in the place of a scenario's name."""
        return f"seam {self.seam}"


NESTED: dict[str, type[BaseModel]] = {"item": Item, "mix": Mix}
HEADERS = {"item": "[[item]]", "mix": "[mix]"}


def complaint(
    error: ValidationError, schema: type[BaseModel], nested: Mapping[str, type[BaseModel]] | None = None
) -> str:
    """The first fault that `schema` found, as "field: what is wrong and what to do"."""
    first = error.errors()[0]
    where = first["loc"]
    field = dotted(where)
    if first["type"] == "value_error":
        message = str(first["ctx"]["error"])
        return f"{field}: {message}" if field else message
    if not field:
        return f"it has to hold a table with the fields {', '.join(schema.model_fields)}"
    if field in HEADERS:
        return f"{field} has to be a table; write it as {HEADERS[field]}"
    fields = (nested or NESTED).get(str(where[0]), schema).model_fields if len(where) > 1 else schema.model_fields
    name = str(where[-1])
    if first["type"] == "extra_forbidden":
        close = get_close_matches(name, fields, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "remove it"
        return f"{field} is not a field; {hint} (fields here are {', '.join(fields)})"
    if first["type"] == "missing":
        told = fields[name].description if name in fields else ""  # of a table in a table nothing more is known here
        return f"{field} is missing; add it" + f": {told}" * bool(told)
    about = fields.get(name) or schema.model_fields[str(where[0])]
    return f"{field}: {first['msg'][0].lower()}{first['msg'][1:]}, not {first['input']!r}: {about.description}"
