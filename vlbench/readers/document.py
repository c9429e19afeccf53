"""A result file as text and, where it is JSON or JSON lines, as its objects; and what a reader of it is."""

import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from vlbench.errors import UsageError
from vlbench.readers.pasted import number_in, pasted_lines
from vlbench.record.directions import Better, better_of
from vlbench.record.runs import Metric, Run
from vlbench.untrusted.files import Kind, check_json, each_key_once, first_fault, integer, read_text
from vlbench.untrusted.limits import Limit

FOREIGN = Kind(
    "name a result file in JSON, JSON lines or CSV",
    values=Limit.FOREIGN_VALUES,
    absent="{path} cannot be read ({why}); {remedy}",
    binary="{path} is not text in UTF-8; {remedy}",
)
_BLANK = re.compile(r"\s*")
_JSON = re.compile(r"\s*(?:window\.BENCHMARK_DATA\s*=\s*)?(?P<begin>\{(?!\s*')|\[\s*\{(?!\s*'))")
"""How JSON with objects begins, also as a script; `{'` is what Python prints of a dict."""
SAME_RATE = 0.01
"""How far a rate may lie from the work over the time, as a share: both are printed rounded."""
ROUNDED = 0.006
"""How far a small one may: two decimals are printed."""
Model = TypeVar("Model", bound=BaseModel)
Seconds = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
"""A measured time, of which a text, a truth value, zero, NaN and infinity are none."""


@dataclass(frozen=True)
class Document:
    """One file."""

    source: str
    text: str
    objects: tuple[dict[str, Any], ...]
    """The object of a JSON file, or one per line or of a list; empty for any other file."""
    directions: Mapping[str, Better] = field(default_factory=dict)
    """Which way metrics are good, by name, as somebody said."""

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """Its lines as `pasted_lines` brings them back, once for all readers; none of JSON or above `Limit.PASTED`."""
        few = not self.objects and len(self.text.splitlines()) <= Limit.PASTED.most
        return tuple(pasted_lines(self.text)) if few else ()

    def better(self, name: str, unit: str = "") -> Better:
        """Which way a metric is good. Raises `UsageError` where neither its words nor anybody else says it."""
        found = self.directions.get(name) or better_of(name, unit)
        if found is None:
            raise UsageError(
                f"{self.source}: whether more or less is better does not follow from {f'{name} {unit}'.strip()!r}; "
                f"say it with --higher-is-better {name!r} or --lower-is-better {name!r}, or in a column better"
            )
        return found

    def where(self, index: int) -> str:
        """The name of object `index` in messages."""
        return self.source if len(self.objects) == 1 else f"{self.source} result {index + 1}"


@dataclass(frozen=True)
class Reader:
    """One format."""

    name: str
    reads: str
    """Whose results, for a list of all formats."""
    recognises: Callable[[Document], bool]
    """Looks at a few telling fields; never raises."""
    read: Callable[[Document], list[Run]]
    """Raises `UsageError` with one sentence naming the file and the field."""
    telling: frozenset[str] = frozenset()
    """The keys that every object of such a file has, where keys tell it."""

    def lacking(self, document: Document) -> list[str]:
        """The telling keys that an object of the document has not, if it has others of them."""
        for each in document.objects:
            if self.telling & each.keys() and (lacking := self.telling - each.keys()):
                return sorted(lacking)
        return []


def objects_with(
    keys: Iterable[str], printed: re.Pattern[str] | None = None, *, several: bool = True
) -> Callable[[Document], bool]:
    """What recognises JSON whose objects, of which there may be `several`, all have these keys.

    Also a text that a tool prints, as it is pasted, by any of its lines that `printed` fits.
    """

    def recognises(document: Document) -> bool:
        if not document.objects:
            return printed is not None and any(map(printed.fullmatch, document.lines))
        return (several or len(document.objects) == 1) and all({*keys} <= each.keys() for each in document.objects)

    return recognises


def load(path: str, directions: Mapping[str, Better] | None = None) -> Document:
    """The file at `path`. Raises `UsageError` if it cannot be read, is empty, or is broken JSON."""
    text = read_text(Path(path), FOREIGN)
    if not text.strip():
        raise UsageError(f"{path} is empty; did the benchmark finish?")
    if _JSON.match(text):
        return Document(path, text, tuple(_objects(path, text)), directions or {})
    document, lines = Document(path, text, (), directions or {}), text.splitlines()
    Limit.VALUES.check(len(lines) + text.count(","), path, FOREIGN.remedy)
    Limit.LINE.check(max(map(len, lines)), path, FOREIGN.remedy)
    if len(lines) <= Limit.PASTED.most and not any(document.lines):
        raise UsageError(f"{path} holds nothing but marks of quotes and code; paste what the tool printed")
    return document


def _objects(path: str, text: str) -> list[dict[str, Any]]:
    """Objects one after another, whether on one line each or over many, or in lists."""
    check_json(text.encode(), path, FOREIGN)
    decoder, objects = json.JSONDecoder(parse_int=integer, object_pairs_hook=each_key_once), []
    at = _JSON.match(text).start("begin")  # type: ignore[union-attr]  # it was asked before
    text = text.rstrip().removesuffix(";")
    while (at := _BLANK.match(text, at).end()) < len(text):  # type: ignore[union-attr]  # it fits anywhere
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise UsageError(f"{path} is broken JSON at line {error.lineno} ({error.msg}); was it cut off?") from None
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from None
        for each in value if isinstance(value, list) else [value]:
            if not isinstance(each, dict):
                raise UsageError(f"{path} holds {each!r:.40} between JSON objects; name a result file")
            objects.append(each)
    return objects


def finite(source: str, name: str, value: object) -> float:
    """The number that a key holds, which some versions write as text. Raises UsageError where it is none."""
    found = number_in(value) if isinstance(value, str) else value
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise UsageError(f"{source}: {name} is {value!r:.40}, not a number; is the file whole and unchanged?")
    return float(found)


def amount(source: str, name: str, value: object) -> float:
    """The time, rate or count that a key holds. Raises UsageError where it is none, or below zero."""
    found = finite(source, name, value)
    check_figures(source, {name: found})
    return found


def count(source: str, name: str, value: object) -> int:
    """The count that a key holds, perhaps as text or with a fraction of zero. Raises UsageError where it is none."""
    found = finite(source, name, value)
    if found < 0 or found != int(found):
        raise UsageError(f"{source}: {name} is {value!r:.40}, not a count; is the file whole and unchanged?")
    return int(found)


def check_figures(
    source: str, result: Mapping[str, Any], unbounded: Collection[str] = (), signed: Collection[str] = ()
) -> None:
    """Raises UsageError for NaN in any figure of an object or in a list of them, and for one out of its range.

    The keys `unbounded` may be infinite and the keys `signed` below zero.
    """
    for name, value in result.items():
        for each in _figures(value):
            if isinstance(each, float) and not math.isfinite(each) and (name not in unbounded or math.isnan(each)):
                raise UsageError(f"{source}: {name} is {value!r:.40}, not a number; run it again")
            if isinstance(each, int | float) and each < 0 and name not in signed:
                raise UsageError(f"{source}: {name} holds {each!r:.40}, below zero; is the file unchanged?")


def _figures(value: object) -> Iterator[object]:
    """What a key holds, also in lists of lists."""
    if isinstance(value, list):
        for each in value:
            yield from _figures(each)
    else:
        yield value


def unread_keys(values: Mapping[str, Any], known: frozenset[str]) -> tuple[str, ...]:
    """Keys that nobody here understands."""
    return tuple(name for name in values if name not in known)


def timed(source: str, timings: Iterable[tuple[str, float, tuple[float, ...]]]) -> list[Metric]:
    """Times in seconds by name, median and samples. Raises UsageError where a median is not that of its samples."""
    metrics = [Metric(name, middle, "s", Better.LOWER, samples) for name, middle, samples in timings]
    for metric in metrics:
        check_median(source, metric.name, metric.value, metric.samples)
    return metrics


def failures(lost: int, of: str = "requests") -> str:
    """The fault of a run that lost so many; "" where it lost none."""
    return f"{lost} of its {of} failed" if lost else ""


def check_median(source: str, name: str, told: float, samples: tuple[float, ...]) -> None:
    """Raises UsageError where the median that a file tells is not that of the samples beside it."""
    if samples and not math.isclose(told, found := median(samples), rel_tol=1e-3):
        both = f"a median of {told:g} and its samples one of {found:g}"
        raise UsageError(f"{source}: {name!r} has {both}; was it edited?")


def check_told(
    source: str, metrics: Iterable[Metric], result: Mapping[str, Any], works: Mapping[str, str], time: str
) -> None:
    """Raises UsageError where a median is not that of its samples, or a rate not its work over the `time` beside it."""
    for metric in metrics:
        check_median(source, metric.name, metric.value, metric.samples)
    for names in ((rate, work, time) for rate, work in works.items()):
        if any(result.get(name) is None for name in names):
            continue
        rate, work, seconds = (finite(source, name, result[name]) for name in names)
        if not math.isclose(rate * seconds, work, rel_tol=SAME_RATE, abs_tol=ROUNDED * seconds):
            other = f"{names[1]} is {work:g} in {seconds:g} s of {time}"
            raise UsageError(f"{source}: {names[0]} is {rate:g}, but {other}; was it edited?")


def validated(model: type[Model], value: dict[str, Any], source: str) -> Model:
    """`value` as a `model`. Raises `UsageError` naming the file and the first field that does not fit."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        where, _, message = first_fault(error).partition(": ")
        told = f"{where}: {message[:1].lower()}{message[1:]}"
        raise UsageError(f"{source}: {told}; is the file whole and unchanged?") from None
