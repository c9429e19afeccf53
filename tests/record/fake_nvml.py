"""NVML with boards made by hand, for machines without any: its names and constants are the real binding's."""

# ruff: noqa: N802 (the names are NVML's)

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pynvml

UUID = "11111111-2222-3333-4444-555555555555"
OTHER_UUID = "99999999-2222-3333-4444-555555555555"

ANSWERS: dict[Any, Any] = {
    "nvmlDeviceGetEnforcedPowerLimit": 700_000,
    "nvmlDeviceGetBoardPartNumber": "699-2G520-0200-000",
    "nvmlDeviceGetMigMode": [0, 0],
    "nvmlDeviceGetCurrentClocksEventReasons": 0x4,
}
"""What a board answers, by function and further arguments."""


class FakeNvml(ModuleType):
    """Stands in for the module pynvml. A board that has no answer raises NVMLError, as the real one does."""

    def __init__(
        self, boards: Mapping[str, Mapping[Any, Any]], *, starts: bool = True, without: frozenset[str] = frozenset()
    ) -> None:
        """`boards`: answers by UUID with prefix. `without`: functions that the binding does not have yet."""
        super().__init__("pynvml")
        self.boards = boards
        self.starts = starts
        self.without = without

    def nvmlInit(self) -> None:
        if not self.starts:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.65.06"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Mapping[Any, Any]:
        if uuid not in self.boards:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return self.boards[uuid]

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, handle: Mapping[Any, Any]) -> Mapping[Any, Any]:
        return self.boards[handle["parent"]]

    def __getattr__(self, name: str) -> Any:
        if name in self.without:
            raise AttributeError(name)
        real = getattr(pynvml, name)
        return self._answering(name) if name.startswith("nvmlDeviceGet") else real

    @staticmethod
    def _answering(name: str) -> Callable[..., Any]:
        def answer(handle: Mapping[Any, Any], *about: Any) -> Any:
            question = (name, *about) if about else name
            if question not in handle:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
            return handle[question]

        return answer
