from __future__ import annotations

from hypothesis import given, strategies as st

from vlbench.export.results import card_lines
from vlbench.record.machine_card import CopyCost, MachineCard

US = st.floats(1e-3, 1e6)
RATE = st.floats(1e-3, 1e7)
CARDS = st.builds(
    MachineCard,
    device=st.sampled_from(["cpu", "cuda"]),
    torch_threads=st.integers(1, 1024),
    took_seconds=st.floats(0.1, 1000),
    launch_us=US,
    sync_us=st.none() | US,
    round_trip_us=st.none() | US,
    copies=st.lists(
        st.builds(
            CopyCost,
            size_bytes=st.sampled_from([2**10, 2**16, 2**20, 2**24]),
            host_us=st.floats(0.1, 1e6),
            pageable_us=st.none() | st.floats(0.1, 1e6),
            pinned_us=st.none() | st.floats(0.1, 1e6),
        ),
        min_size=1,
        max_size=4,
    ).map(tuple),
    gemm_size=st.integers(1, 16384),
    gemm_fp32_gflops=RATE,
    gemm_bf16_gflops=st.none() | RATE,
    copy_gb_s=st.floats(1e-3, 1e5),
    python_loops_per_s=st.floats(1e3, 1e9),
    clock_step_ns=st.integers(1, 10**8),
)


@given(CARDS)
def test_it_fits_and_shows_each_figure_that_was_not_measured(card: MachineCard) -> None:
    lines = card_lines(card)
    assert max(map(len, lines)) <= 80
    fields = [card.sync_us, card.round_trip_us, card.gemm_bf16_gflops]
    fields += [us for copy in card.copies for us in (copy.pageable_us, copy.pinned_us)]
    assert "\n".join(lines).count("not measured") == fields.count(None)


def test_a_card_in_words() -> None:
    card = MachineCard(
        device="cuda",
        torch_threads=1,
        took_seconds=5.02,
        launch_us=2.345,
        sync_us=3.5,
        round_trip_us=9.996,
        copies=(CopyCost(size_bytes=2**20, host_us=32.0, pageable_us=131.072, pinned_us=26.2144),),
        gemm_size=4096,
        gemm_fp32_gflops=51_200,
        gemm_bf16_gflops=701_234,
        copy_gb_s=4012.5,
        python_loops_per_s=16.1e6,
        clock_step_ns=30,
    )
    assert card_lines(card) == [
        "machine card: cuda, 1 thread, measured in 5.0 s",
        "  launch of a tiny operation        2.35 us",
        "  synchronize, nothing to await     3.50 us",
        "  launch and synchronize            10.0 us",
        "  matrix product 4096 x 4096, fp32  51200 GFLOP/s",
        "  matrix product 4096 x 4096, bf16  701234 GFLOP/s",
        "  copy in device memory             4012 GB/s, read and written",
        "  Python, one thread                16.1 million loop passes/s",
        "  clock                             steps of 30 ns",
        "  copy of              on the host       pageable to GPU         pinned to GPU",
        "  1 MiB        32.0 us   32.8 GB/s    131 us   8.00 GB/s   26.2 us   40.0 GB/s",
    ]
