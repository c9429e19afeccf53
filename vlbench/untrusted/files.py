"""The one way in: a file that a person hands in becomes bytes, text, JSON or TOML, or one sentence.

Only regular files are opened, for a pipe or a device may never end; links are followed to one. Size, nesting, digits
and unpacked bytes are bounded by `Limit`.
"""

import json
import re
import stat
import tomllib
import zlib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vlbench.errors import UsageError
from vlbench.untrusted.limits import MB, Limit

_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"'))
_STEPS = [1 if each in b"[{" else -1 for each in range(256)]
_SPECIAL = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
_DIGITS = Limit.DIGITS.most
MANY_FAULTS = 1_000
_PIECE = 1 << 14
"""Bytes of a gzip file that are unpacked at once, so that no piece of it is copied again for each that follows."""
_PADDING = re.compile(rb"\0*+")
_DEEP_KEY = re.compile(rf"""(?:\.\s*+(?>"[^"\n]*"|'[^'\n]*'|[\w-]+)\s*+){{{Limit.DEPTH.most}}}""")
"""A key such as a.b.c with too many parts, over which tomllib takes the square of its length."""


class NotThisFormatError(UsageError):
    """The file is read, and is no text, JSON or TOML: it may be of another format."""


@dataclass(frozen=True)
class Kind:
    """A kind of file that is handed in: how large it may be, and the sentences for what is wrong with it.

    In the sentences `{path}` is the file and `{why}` the reason; the remedy follows each.
    """

    remedy: str
    size: Limit = Limit.DOCUMENT
    values: Limit = Limit.VALUES
    absent: str = "{path}: no such file; {remedy}"
    unreadable: str = "{path}: cannot be read ({why}); {remedy}"
    folder: str = "{path}: a folder; {remedy}"
    binary: str = "{path}: cannot be read as text; {remedy}"
    broken: str = "{path}: not JSON ({why}); {remedy}"
    missing: type[UsageError] = UsageError
    """What is raised for a file that is not there."""
    ours: bool = False
    """Written by vlbench: no key is there twice, and no number is NaN or infinite."""

    def say(self, sentence: str, path: object, why: object = "") -> str:
        """One of the sentences, about `path`."""
        return sentence.format(path=path, why=why, remedy=self.remedy.format(path=path))


def size_of(path: Path, kind: Kind) -> int:
    """The bytes of a regular file. Raises `UsageError` for anything else, and above the limit of its kind."""
    try:
        found = path.stat()
    except FileNotFoundError:
        raise kind.missing(kind.say(kind.absent, path, "No such file or directory")) from None
    except (OSError, ValueError) as error:  # ValueError for a null character
        raise UsageError(kind.say(kind.unreadable, path, getattr(error, "strerror", None) or error)) from None
    if stat.S_ISDIR(found.st_mode):
        raise UsageError(kind.say(kind.folder, path, "Is a directory"))
    if special := _SPECIAL.get(stat.S_IFMT(found.st_mode)):
        raise UsageError(f"{path}: {special} and not a regular file; write what it holds to a file, and name that")
    kind.size.check(found.st_size, str(path), kind.remedy.format(path=path))
    return found.st_size


def read_bytes(path: Path, kind: Kind) -> bytes:
    """The whole of a regular file. Raises `UsageError` as `size_of` does."""
    size = size_of(path, kind)
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise UsageError(kind.say(kind.unreadable, path, error.strerror)) from None


def read_text(path: Path, kind: Kind) -> str:
    """A text in UTF-8, with or without a mark at its beginning. Raises `UsageError`, `NotThisFormatError` for bytes."""
    return _text(read_bytes(path, kind), str(path), kind)


def json_lines(text: str) -> list[str]:
    """The lines of a file with a JSON document on each: a text in one may hold other ends of lines than "\\n"."""
    return text.removesuffix("\n").split("\n") if text else []


def read_json(path: Path, kind: Kind) -> Any:
    """A JSON document. Raises `UsageError`, `NotThisFormatError` where it is none."""
    return parse_json(read_bytes(path, kind), str(path), kind)


def parse_json(data: bytes | str, name: str, kind: Kind, errors: str = "strict", **options: Any) -> Any:
    """A JSON document that has been read; `name` is for messages, `errors` for decoding, `options` for `json.loads`.

    Raises like `read_json`.
    """
    text = _text(data, name, kind, errors) if isinstance(data, bytes) else data
    check_json(data if isinstance(data, bytes) else data.encode(errors="replace"), name, kind)
    if kind.values is not Limit.CAPTURE_VALUES:  # whose names are free, and whose millions of objects are slow
        options = {"object_pairs_hook": each_key_once} | options
    if kind.ours:
        options = {"parse_constant": _no_constant} | options
    try:
        return json.loads(text, **{"parse_int": integer} | options)
    except json.JSONDecodeError as error:
        why = f"line {error.lineno}: {error.msg}"
        raise NotThisFormatError(kind.say(kind.broken, name, why)) from None
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None


def check_json(data: bytes, name: str, kind: Kind) -> None:
    """Refuse a JSON text that is nested too deep or holds too many values, before it is parsed."""
    values = sum(map(data.count, (b",", b"[", b"{")))
    kind.values.check(values, name, "is it what the tool wrote?")
    bare = data.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in data else data
    brackets = b"".join(bare.translate(None, _STRUCTURE).split(b'"')[::2])
    depth = max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)
    Limit.DEPTH.check(depth, name, "is it what the tool wrote?")


def integer(digits: str) -> int:
    """An integer of JSON. Raises `UsageError` for one that no counter reaches."""
    if len(digits) > _DIGITS:
        Limit.DIGITS.check(len(digits.lstrip("-")), f"the integer {digits[:12]}...", "write what was measured")
    return int(digits)


def each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these pairs, for `json`. Raises `UsageError` for a key that is repeated: readers differ by it.

    Neither does it take one that is longer than a name: patterns that a name has to fit are slow on it.
    """
    found = dict(pairs)
    Limit.LINE.check(max(map(len, found), default=0), "the name of a key", "is it what the tool wrote?")
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"the key {twice[: Limit.LINE.most]!r} is there twice; was the file changed by hand?")
    return found


def _no_constant(name: str) -> Any:
    raise UsageError(f"{name} is no number of JSON; the file was changed by hand")


def read_toml(path: Path, kind: Kind) -> dict[str, Any]:
    """A TOML document. Raises `UsageError`, `NotThisFormatError` where it is none."""
    return parse_toml(read_text(path, kind), path, kind)


def parse_toml(text: str, path: Path, kind: Kind) -> dict[str, Any]:
    """A TOML document that has been read; `path` is for messages. Raises like `read_toml`."""
    Limit.DEPTH.check((Limit.DEPTH.most + 1) * bool(_DEEP_KEY.search(text)), str(path), kind.remedy)
    try:
        table = tomllib.loads(text)
    except (RecursionError, ValueError) as error:  # also Python's own for integers of thousands of digits
        why = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "nested too deep, or too large an integer"
        raise NotThisFormatError(kind.say(kind.broken, path, why)) from None
    for depth, value in _walked(table):
        Limit.DEPTH.check(depth, str(path), kind.remedy)
        if isinstance(value, int) and value.bit_length() > 64:
            raise UsageError(f"{path}: an integer is above the limit of {Limit.DIGITS.most} digits; {kind.remedy}")
    return table


def unpacked(data: bytes, name: str, most: int) -> bytes:
    """The content of a gzip file. Raises `UsageError` where it is damaged, or far larger than it looks."""
    most = min(most, max(4 * MB, Limit.UNPACKED.most * len(data)))
    parts, left, at, stream = [], most, 0, zlib.decompressobj(wbits=31)
    try:
        while at < len(data):
            stream = zlib.decompressobj(wbits=31) if stream.eof else stream  # a file may hold several
            piece = data[at : at + _PIECE]
            parts.append(stream.decompress(piece, left + 1))
            left -= len(parts[-1])
            if left < 0:
                raise UsageError(
                    f"{name}: the gzip file unpacks to more than {most:,} bytes, which no trace of its size does; "
                    "unpack it yourself if you trust it (docs/limits.md has all limits)"
                )
            at += len(piece) - len(stream.unused_data)
            at = _PADDING.match(data, at).end() if stream.eof else at  # type: ignore[union-attr]  # it fits anywhere
        if not stream.eof:
            raise zlib.error("it ends too early")
    except zlib.error as error:
        raise UsageError(f"{name}: the gzip file is damaged ({error})") from None
    return b"".join(parts)


def first_fault(error: ValidationError) -> str:
    """The first of the faults that pydantic found, as "groups.0.seed: field required"; of very many only how many."""
    if error.error_count() > MANY_FAULTS:
        return f"{error.error_count():,} fields do not fit"
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where[: Limit.LINE.most] or 'the file'}: {first['msg']}"


def _text(data: bytes, name: str, kind: Kind, errors: str = "strict") -> str:
    try:
        return data.decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) and len(data) % 2 == 0:
            raise NotThisFormatError(f"{name}: text in UTF-16, as PowerShell writes it; save it as UTF-8") from None
        raise NotThisFormatError(kind.say(kind.binary, name, error.reason)) from None


def _walked(root: Any) -> Iterator[tuple[int, Any]]:
    """Every value below `root` with its depth, without recursion."""
    waiting = [(0, root)]
    while waiting:
        depth, node = waiting.pop()
        yield depth, node
        below = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        waiting += [(depth + 1, each) for each in below]
