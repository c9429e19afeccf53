"""A cache that a tower owns: bounded by bytes, least recently used out first, hits and misses counted."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

import torch
from torch import Tensor

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class ByteCache(Generic[Key, Value]):
    """Values by key, kept while their tensors stay under `max_bytes` in all.

    Bounded by bytes and not by entries because entries differ by four orders of magnitude: the cos and sin of an icon
    are 8 KB, those of a minute of video 55 MB.
    """

    def __init__(self, max_bytes: int, tensors: Callable[[Value], Iterable[Tensor]]) -> None:
        self.max_bytes = max_bytes
        self.hits = 0
        self.misses = 0
        self.bytes = 0
        self._tensors = tensors
        self._entries: OrderedDict[Key, tuple[Value, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value under `key`, made by `make` on a miss. Callers share it: never modify it in place.

        Whatever mode the call is in, what is kept is made outside of inference mode, so that calls in any mode may read
        it, and its owner may write to it.
        """
        if key in self._entries:
            self.hits += 1
            self._entries.move_to_end(key)
            return self._entries[key][0]
        self.misses += 1
        with torch.inference_mode(False), torch.no_grad():
            value = make()
        size = sum(tensor.nbytes for tensor in self._tensors(value))
        if size <= self.max_bytes:
            self._entries[key] = (value, size)
            self.bytes += size
            while self.bytes > self.max_bytes:
                _, (_, freed) = self._entries.popitem(last=False)
                self.bytes -= freed
        return value

    def clear(self) -> None:
        """Forget all values; hits and misses go on."""
        self._entries.clear()
        self.bytes = 0
