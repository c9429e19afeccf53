"""Other projects' towers, with the weights of ours: a file in this folder that decorates what builds one is found.

Names are wanted without torch and without the package of a peer, so both are imported in its function.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torch import nn

    from ..config import VisionConfig
    from ..weights import SharedTensors

Make = TypeVar("Make", bound=Callable[..., Any])
"""Takes a config and weights to the tower on these very tensors, called like ours and ready for inference."""


class PeerError(ValueError):
    """A peer cannot be had; the message says what to do."""


@dataclass(frozen=True)
class Peer:
    """One way to run another project's tower."""

    name: str
    summary: str
    package: str
    """What has to be installed; vlbench's own extra `peers` brings it."""
    make: Callable[..., nn.Module]
    """Builds it, from a config and weights."""
    takes_plan: bool = False
    """Does its call take what follows from the grids, made before?"""
    on_cuda_alone: bool = False

    @property
    def needs(self) -> str:
        """What has to be there."""
        return f"{self.package}, CUDA" if self.on_cuda_alone else self.package

    def inapplicable(self, device: str) -> str:
        """Why it has no row on a device, such as "cpu"; "" where it has one."""
        if not self.on_cuda_alone or device != "cpu":
            return ""
        return f"{self.name} attends on CUDA alone; choose hf-sdpa, or --device cuda"

    @property
    def version(self) -> str | None:
        """The version of the package that is installed, None where it is not."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None

    def require(self) -> str:
        """Package and version; PeerError where it is not installed."""
        if self.version is None:
            raise PeerError(f"{self.name} needs {self.package}, which is not installed; pip install {self.package}")
        return f"{self.package} {self.version}"

    def build(self, config: VisionConfig, weights: SharedTensors) -> nn.Module:
        """The tower on these very tensors, called like ours, ready for inference. Raises PeerError."""
        self.require()
        return self.make(config, weights)


PEERS: dict[str, Peer] = {}
"""Every peer by its name."""


def peer(
    name: str,
    summary: str,
    package: str,
    *,
    takes_plan: bool = False,
    on_cuda_alone: bool = False,
    **options: str | bool,
) -> Callable[[Make], Make]:
    """Make the function below, called with these options, the peer `name`, which needs `package` to be installed."""

    def register(make: Make) -> Make:
        PEERS[name] = Peer(name, summary, package, partial(make, **options), takes_plan, on_cuda_alone)
        return make

    return register


for _file in pkgutil.iter_modules(__path__, f"{__name__}."):
    import_module(_file.name)
