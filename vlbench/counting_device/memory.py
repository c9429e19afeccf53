"""Whose memory is whose: device storages with their bytes, shared by their views, and host storages that are pinned."""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

_FIRST_ADDRESS = 0x7F00_0000_0000
_ALIGNMENT = 512  # bytes, as CUDA's caching allocator aligns


class Block:
    """One storage on the device. It lives as long as a tensor that looks at it; its death frees the bytes.

    `address` is made up, but different for every block, so that code may tell tensors apart by `data_ptr`.
    `known` is False once something that ghost mode cannot compute has been written into integers held for real.
    `version` rises with every write.
    `writer` names the kernel that may have written them or what they follow from, if nobody said what it writes.
    """

    __slots__ = ("__weakref__", "_ghost", "_storage", "address", "bytes", "known", "memory", "version", "writer")

    def __init__(self, memory: DeviceMemory, size: int, address: int) -> None:
        self.memory = memory
        self.address = address
        self._ghost: Tensor | None = None
        self.bytes = size
        self.known = True
        self.version = 0
        self.writer = ""

    def ghost_of(self, host: Tensor) -> Tensor:
        """`host`, a view of this storage whose values no longer mean anything, as a meta tensor; views still share."""
        if self._ghost is None:
            self._storage = host.untyped_storage()  # or another tensor gets its place, and is taken for this one
            self._ghost = torch.empty(host.untyped_storage().nbytes(), dtype=torch.uint8, device="meta")
            self.memory.blocks[self._ghost.untyped_storage()._cdata] = self
        shadow = torch.empty(0, dtype=host.dtype, device="meta")
        with torch.no_grad():
            return shadow.set_(self._ghost.untyped_storage(), host.storage_offset(), host.size(), host.stride())

    def __del__(self) -> None:
        self.memory.live_bytes -= self.bytes


class DeviceMemory:
    """All storages alive on the device and the sum of their bytes, as asked for (no allocator rounding)."""

    def __init__(self) -> None:
        self.blocks: WeakValueDictionary[int, Block] = WeakValueDictionary()
        self.live_bytes = 0
        self._next_address = _FIRST_ADDRESS

    def block(self, host: Tensor) -> tuple[Block, bool]:
        """The block that `host` looks at, and whether it was allocated just now."""
        storage = host.untyped_storage()
        found = self.blocks.get(storage._cdata)
        if found is not None:
            self.live_bytes += storage.nbytes() - found.bytes  # `resize_` may have made it grow
            found.bytes = storage.nbytes()
            return found, False
        block = Block(self, storage.nbytes(), self._next_address)
        self._next_address += max(1, -(-block.bytes // _ALIGNMENT)) * _ALIGNMENT
        self.blocks[storage._cdata] = block
        self.live_bytes += block.bytes
        return block, True


class PinnedMemory:
    """Which host storages code has pinned. A build without CUDA cannot pin, so being pinned is only remembered here."""

    def __init__(self) -> None:
        self._pinned: dict[int, Any] = {}

    def add(self, host: Tensor) -> Tensor:
        """Remember that it is pinned, and return it."""
        storage = host.untyped_storage()
        # The weak reference keeps the address from being used again, so an expired entry cannot be mistaken.
        self._pinned = {key: ref for key, ref in self._pinned.items() if not ref.expired()}
        self._pinned[storage._cdata] = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
        return host

    def __contains__(self, host: Tensor) -> bool:
        return host.untyped_storage()._cdata in self._pinned
