"""Other projects' towers, with the weights of ours. A peer is one file that builds them and one entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from ..config import VisionConfig
    from ..weights import SharedTensors


class PeerError(ValueError):
    """A peer cannot be had; the message says what to do."""


@dataclass(frozen=True)
class Peer:
    """One way to run another project's tower."""

    name: str
    summary: str
    package: str
    """What has to be installed; vlbench's own extra `peers` brings it."""
    options: dict[str, str | bool]
    """What its file is to build."""

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
            raise PeerError(f"{self.name} needs {self.package}, which is not installed; pip install 'vlbench[peers]'")
        return f"{self.package} {self.version}"

    def build(self, config: VisionConfig, weights: SharedTensors) -> nn.Module:
        """The tower on these very tensors, called like ours, ready for inference. Raises PeerError."""
        self.require()
        # The file is called like the package, and imports it: only now.
        make: Callable[..., nn.Module] = import_module(f".{self.package}", __name__).build
        return make(config, weights, **self.options)


_ALL = (
    Peer("hf-sdpa", "transformers' tower, its default attention (SDPA)", "transformers", {"attention": "sdpa"}),
    Peer("hf-eager", "transformers' tower, attention written out", "transformers", {"attention": "eager"}),
    Peer(
        "hf-compile",
        "transformers' tower with SDPA, each block through torch.compile",
        "transformers",
        {"attention": "sdpa", "compiled": True},
    ),
)

PEERS: dict[str, Peer] = {peer.name: peer for peer in _ALL}
