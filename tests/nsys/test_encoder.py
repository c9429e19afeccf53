"""Encoder forwards by known ranges, by a given pattern, by the kernel sequence; and the encoder's share."""

from __future__ import annotations

from pathlib import Path

import pytest

import vlbench.nsys
from vlbench.errors import UsageError
from vlbench.nsys.encoder import busy_before, share
from vlbench.nsys.frames import Capture
from vlbench.nsys.sequence import repeated_blocks

from .server import LAYER, MAIN, Server
from .synthetic import Database


def loaded(server: Server, folder: Path) -> Capture:
    return vlbench.nsys.load(server.database.save(folder / "server.sqlite"))


@pytest.mark.parametrize(
    ("name", "who"),
    [
        ("{'Module': 'model.visual', 'TrainableParams': {}, 'Inputs': [[1024, 1176]]}", "vLLM and SGLang"),
        ("{'Module': 'visual'}", "vLLM and SGLang"),
        ("[Vision] process", "TensorRT-LLM"),
        ("vision_encoder", "says vision"),
    ],
)
def test_known_ranges(tmp_path: Path, name: str, who: str) -> None:
    server = Server()
    for _ in range(3):
        server.encoder(name=name)
        server.decode()
    server.database.range(0, 10, "{'Module': 'model.visual.blocks.0'}", MAIN)
    server.database.range(0, 10, "[Vision] preprocess", MAIN)
    found = vlbench.nsys.find_forwards(loaded(server, tmp_path))
    assert found is not None
    assert who in found.how
    assert len(found.ranges) == 3
    assert set(found.projected["kernels"]) == {8 * len(LAYER) + 6}


def test_our_ranges_come_first(tmp_path: Path) -> None:
    server = Server()
    server.encoder(name="vision_encoder")
    server.database.domain(2, "vlbench", MAIN)
    server.database.range(0, 20, "forward", MAIN, domain=2)
    found = vlbench.nsys.find_forwards(loaded(server, tmp_path))
    assert found is not None
    assert found.how == "ranges of vlbench: vlbench:forward"


def test_a_given_pattern_takes_the_outermost_matches(tmp_path: Path) -> None:
    server = Server()
    server.encoder(name="my tower")
    server.database.range(5, 50, "my tower part", MAIN)
    capture = loaded(server, tmp_path)
    found = vlbench.nsys.find_forwards(capture, "my tower")
    assert found is not None
    assert found.ranges["name"].to_list() == ["my tower"]
    with pytest.raises(UsageError, match="matches no range"):
        vlbench.nsys.find_forwards(capture, "nothing")
    with pytest.raises(UsageError, match="not a regular expression"):
        vlbench.nsys.find_forwards(capture, "(")


@pytest.mark.parametrize("full_every", [0, 4, 8])
def test_the_kernel_sequence_finds_the_encoder_and_not_the_language_model(tmp_path: Path, full_every: int) -> None:
    server = Server()
    for _ in range(4):
        server.encoder(32, full_every=full_every)
        for _ in range(3):
            server.decode()
    capture = loaded(server, tmp_path)
    found = vlbench.nsys.find_forwards(capture)
    assert found is not None
    assert "found by pattern" in found.how
    assert len(found.ranges) == 4
    kinds = {kind.writes_kv_cache: kind for kind in repeated_blocks(capture)}
    assert kinds[True].repeats.tolist() == [10] * 12
    if not full_every:
        assert f"a block of {len(LAYER)} kernels repeated 32 times" in found.how
        assert set(found.projected["kernels"]) == {32 * len(LAYER)}
    if full_every == 8:  # as in Qwen2.5-VL: stretches of seven window layers belong to one forward
        assert f"a block of {len(LAYER)} kernels repeated 28 times" in found.how


def test_back_to_back_forwards_stay_apart(tmp_path: Path) -> None:
    server = Server()
    for _ in range(5):
        server.encoder(12)
    found = vlbench.nsys.find_forwards(loaded(server, tmp_path))
    assert found is not None
    assert len(found.ranges) == 5


def test_nothing_is_claimed_where_nothing_repeats(tmp_path: Path) -> None:
    server = Server()
    server.encoder(12)  # once: nothing says that this is a forward
    assert vlbench.nsys.find_forwards(loaded(server, tmp_path)) is None
    assert vlbench.nsys.find_forwards(vlbench.nsys.load(Database().save(tmp_path / "empty.sqlite"))) is None


def test_no_attention_no_encoder(tmp_path: Path) -> None:
    """A plain MLP of equal layers, called often, whatever its range is named; with attention in a layer it is one."""
    block = [
        "sgemm_tn",
        "relu_kernel",
        "sgemm_tn",
        "layer_norm_kernel",
        "sgemm_nt",
        "dropout_kernel",
        "sgemm_nt",
        "add",
    ]
    server, attending = Server(), Server()
    for made, layer in ((server, block), (attending, ["softmax_warp_forward", *block])):
        for _ in range(4):
            begin = made.now - 1
            made.kernels([*["embedding_bag_kernel", "gather_kernel"] * 12, *layer * 8, "bce_loss_kernel"])
            made.database.range(begin, made.now, "visual forward", MAIN)
            made.now += 500
    assert vlbench.nsys.find_forwards(loaded(server, tmp_path)) is None
    named = vlbench.nsys.find_forwards(vlbench.nsys.load(attending.database.save(tmp_path / "named.sqlite")))
    assert named is not None
    attending.database.rows["NVTX_EVENTS"].clear()
    found = vlbench.nsys.find_forwards(vlbench.nsys.load(attending.database.save(tmp_path / "attending.sqlite")))
    assert found is not None
    assert len(found.ranges) == 4


def test_attention_of_cudnn_is_no_matrix_product_whatever_its_name_says(tmp_path: Path) -> None:
    """A call for each of 88 windows is an inner loop, also where its kernels are named after the instruction."""
    server, windows = Server(), ["cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16_knob_7_64x128x128"] * 88
    layer = [*LAYER[:2], *windows, *LAYER[3:]]
    for _ in range(3):
        server.kernels(["patch_gemm", *layer * 8, "merger_gemm_1", "gelu", "merger_gemm_2"])
        server.now += 500
    found = vlbench.nsys.find_forwards(loaded(server, tmp_path))
    assert found is not None
    assert f"a block of {len(layer)} kernels repeated 8 times" in found.how
    assert len(found.ranges) == 3


def test_share_between_forwards(tmp_path: Path) -> None:
    server = Server()
    for _ in range(3):
        server.encoder(8, name="vision_encoder")
        server.decode(10)
    capture = loaded(server, tmp_path)
    found = vlbench.nsys.find_forwards(capture)
    assert found is not None
    part = share(capture, found)
    assert part is not None
    encoder, model = 8 * len(LAYER) + 6, 10 * 7 + 3
    assert part.steps == 2
    assert part.encoder_busy_ns == 2 * encoder * 8
    assert part.step_busy_ns == 2 * (encoder + model) * 8
    assert "next one's" in part.step


def test_share_of_an_enclosing_range(tmp_path: Path) -> None:
    server = Server()
    for _ in range(3):
        begin = server.now - 5
        server.encoder(8, name="vision_encoder")
        server.decode(10)
        server.database.range(begin, server.now, "execute_model", MAIN)
        server.decode(10)
    capture = loaded(server, tmp_path)
    found = vlbench.nsys.find_forwards(capture)
    assert found is not None
    part = share(capture, found)
    assert part is not None
    assert part.step == "the range :execute_model"
    assert part.steps == 3
    assert part.of_busy == pytest.approx(62 / (62 + 73))


def test_share_needs_a_second_forward(tmp_path: Path) -> None:
    server = Server()
    server.encoder(name="vision_encoder")
    capture = loaded(server, tmp_path)
    found = vlbench.nsys.find_forwards(capture)
    assert found is not None
    assert share(capture, found) is None


def test_busy_before_counts_overlap_once(tmp_path: Path) -> None:
    database = Database()
    for corr, (start, end) in enumerate([(0, 10), (5, 20), (30, 40)]):
        database.kernel(start, end, "k", MAIN, corr)
    capture = vlbench.nsys.load(database.save(tmp_path / "a.sqlite"))
    import numpy as np

    moments = np.array([-5, 0, 7, 20, 25, 35, 99])
    assert busy_before(capture, moments).tolist() == [0, 0, 7, 20, 20, 25, 30]
