from __future__ import annotations

from dataclasses import replace

import pytest

from tests.implementations.towers import NARROW_2, weights_of
from vlbench.implementations.peers import PEERS, PeerError


def test_peers_are_found_by_their_names() -> None:
    assert {name: peer.name for name, peer in PEERS.items()} == {name: name for name in PEERS}
    assert {"hf-sdpa", "hf-eager", "hf-compile"} <= PEERS.keys()


def test_a_peer_that_is_not_installed() -> None:
    peer = replace(PEERS["hf-sdpa"], package="not-installed-anywhere")
    assert peer.version is None
    for refused in (peer.require, lambda: peer.build(NARROW_2, weights_of(NARROW_2))):
        with pytest.raises(PeerError, match=r"hf-sdpa needs not-installed-anywhere.*pip install 'vlbench\[peers\]'"):
            refused()
