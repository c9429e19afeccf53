"""Every peer is the reference tower's equal, on the reference tower's own tensors. All come from the registry."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from torch import nn

from tests.implementations.grids import AWKWARD, Batch, batches
from tests.implementations.towers import NARROW, NARROW_2, expected, name_of, relative_error, run, weights_of
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.peers import PEERS, PeerError

COMPILED = {"hf-compile"}
"""Its compilation takes seconds: it has a test of its own."""

families = pytest.mark.parametrize("config", NARROW, ids=name_of)
every_peer = pytest.mark.parametrize(
    "name",
    [
        pytest.param(peer.name, marks=pytest.mark.skipif(peer.version is None, reason=f"needs {peer.package}"))
        for peer in PEERS.values()
        if peer.name not in COMPILED
    ],
)


@cache
def peer(name: str, config: VisionConfig) -> nn.Module:
    return PEERS[name].build(config, weights_of(config))


def test_peers_are_found_by_their_names() -> None:
    assert {name: peer.name for name, peer in PEERS.items()} == {name: name for name in PEERS}
    assert {"hf-sdpa", "hf-eager", "hf-compile"} <= PEERS.keys()


def test_a_peer_that_is_not_installed() -> None:
    peer = replace(PEERS["hf-sdpa"], package="not-installed-anywhere")
    assert peer.version is None
    for refused in (peer.require, lambda: peer.build(NARROW_2, weights_of(NARROW_2))):
        with pytest.raises(PeerError, match=r"hf-sdpa needs (\S+), .*pip install \1"):
            refused()


@families
@every_peer
@pytest.mark.parametrize("batch", AWKWARD, ids=str)
def test_the_reference_towers_tokens_for_awkward_batches(name: str, config: VisionConfig, batch: Batch) -> None:
    assert relative_error(run(peer(name, config), config, batch), expected(config, batch)) < 1e-5


@families
@every_peer
@given(batch=batches)
@settings(max_examples=10)
def test_the_reference_towers_tokens_for_any_batch(name: str, config: VisionConfig, batch: Batch) -> None:
    assert relative_error(run(peer(name, config), config, batch), expected(config, batch)) < 1e-5


@families
@every_peer
def test_the_weights_are_the_reference_towers_own_tensors(name: str, config: VisionConfig) -> None:
    weights = weights_of(config)
    parameters = {key.removeprefix("module."): each for key, each in peer(name, config).named_parameters()}
    assert {key: each.data_ptr() for key, each in parameters.items()} == {
        key: each.data_ptr() for key, each in weights.items()
    }
    assert not any(each.requires_grad for each in parameters.values())
    assert not peer(name, config).training
