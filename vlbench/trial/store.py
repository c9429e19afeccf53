"""Where outputs lie until they are compared: out of reach of whatever is called in the meantime."""

import io
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Protocol, Self

import torch
from torch import Tensor

from vlbench.implementations.output import Parts
from vlbench.process import holder
from vlbench.process.holder import GIVE, HEAD, KEEP, NUMBER

Taken = Callable[[], Parts]
"""Gives an output back, once, in memory of its own."""
Form = tuple[str, torch.dtype, torch.Size, torch.device]
"""A part's name and what it is made of."""


class Store(Protocol):
    """Keeps outputs."""

    def put(self, output: Parts) -> Taken:
        """Keep it, at once: what is written later does not count. Its own memory is poisoned."""


class Here:
    """Keeps them in this process, for one in which nothing is judged."""

    def put(self, output: Parts) -> Taken:
        """As `Store.put`."""
        copy = kept(output)
        poison(output)
        return lambda: copy


class Apart:
    """Keeps them in a process of its own, so that this one holds none while something is called.

    That process sleeps but in `put` and while an output is taken. Use it as a context: it ends there, or with this one.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", holder.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C is for those that it was started for
        )
        assert isinstance(self._process.stdin, io.BufferedWriter)
        assert isinstance(self._process.stdout, io.BufferedReader)
        self._told, self._heard = self._process.stdin, self._process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # whoever was forked from this process may hold its pipe open
        self._process.communicate()

    @torch.inference_mode()
    def put(self, output: Parts) -> Taken:
        """As `Store.put`. Raises RuntimeError where that process has ended."""
        flat = [part.detach().cpu().contiguous().unsqueeze(-1).flatten().view(torch.uint8) for part in output.values()]
        number = self._ask(KEEP, sum(map(len, flat)), flat)
        for part, each in zip(output.values(), flat, strict=True):
            if each.data_ptr() != part.data_ptr():  # a copy, of what lies elsewhere or in pieces
                each.fill_(0xFF)
        poison(output)
        forms = [(name, part.dtype, part.shape, part.device) for name, part in output.items()]
        return partial(self._take, number, forms)

    def _take(self, number: int, forms: Sequence[Form]) -> Parts:
        self._ask(GIVE, number)
        parts: Parts = {}
        for name, dtype, shape, device in forms:
            flat = torch.empty(prod(shape), dtype=dtype)
            self._heard.readinto(flat.view(torch.uint8).numpy().data)
            parts[name] = flat.view(shape).to(device)
        return parts

    def _ask(self, does: bytes, figure: int, parts: Sequence[Tensor] = ()) -> int:
        try:
            self._told.write(HEAD.pack(does, figure))
            for part in parts:
                self._told.write(part.numpy().data)
            self._told.flush()
            (answer,) = NUMBER.unpack(self._heard.read(NUMBER.size))
        except (BrokenPipeError, struct.error) as error:
            raise RuntimeError("the process that outputs lie in has ended, or was asked for one twice") from error
        return int(answer)


def kept(output: Parts) -> Parts:
    """A copy, which a tower that hands out its own buffers cannot change."""
    return {part: tensor.clone() for part, tensor in output.items()}


@torch.inference_mode()
def poison(output: Parts) -> None:
    """A buffer that is handed out again must be written again."""
    for part in output.values():
        if part.is_floating_point() or part.is_complex():
            part.fill_(torch.nan)
        elif part.dtype is torch.bool:
            part.logical_not_()
        else:
            part.fill_(torch.iinfo(part.dtype).max)
