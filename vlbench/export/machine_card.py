"""The machine card in lines of at most 80 columns."""

from __future__ import annotations

from vlbench.record.machine_card import MachineCard

NOT_MEASURED = "not measured"


def card_lines(card: MachineCard) -> list[str]:
    """The card for a terminal, one figure or one size of copies a line."""
    threads = f"{card.torch_threads} thread{'s' * (card.torch_threads > 1)}"
    gemm = f"{card.gemm_size} x {card.gemm_size}"
    rows = [
        ("launch of a tiny operation", _with_unit(card.launch_us, "us")),
        ("synchronize, nothing to await", _with_unit(card.sync_us, "us")),
        ("launch and synchronize", _with_unit(card.round_trip_us, "us")),
        (f"matrix product {gemm}, fp32", _with_unit(card.gemm_fp32_gflops, "GFLOP/s")),
        (f"matrix product {gemm}, bf16", _with_unit(card.gemm_bf16_gflops, "GFLOP/s")),
        ("copy in device memory", _with_unit(card.copy_gb_s, "GB/s, read and written")),
        ("Python, one thread", _with_unit(card.python_loops_per_s * 1e-6, "million loop passes/s")),
        ("clock", f"steps of {card.clock_step_ns} ns"),
    ]
    lines = [f"machine card: {card.device}, {threads}, measured in {card.took_seconds:.1f} s"]
    lines += [f"  {name:<34}{value}" for name, value in rows]
    lines.append(f"  {'copy of':<10}{'on the host':>22}{'pageable to GPU':>22}{'pinned to GPU':>22}")
    for copy in card.copies:
        costs = (_copy(us, copy.size_bytes) for us in (copy.host_us, copy.pageable_us, copy.pinned_us))
        lines.append(f"  {_size(copy.size_bytes):<10}{''.join(costs)}")
    return lines


def _copy(us: float | None, size: int) -> str:
    if us is None:
        return f"{NOT_MEASURED:>22}"
    return f"{_figure(us):>7} us{_figure(size * 1e-3 / us):>7} GB/s"


def _with_unit(value: float | None, unit: str) -> str:
    return NOT_MEASURED if value is None else f"{_figure(value)} {unit}"


def _figure(value: float) -> str:
    """Three digits where there is a point."""
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"


def _size(size: int) -> str:
    return f"{size / 2**20:g} MiB" if size >= 2**20 else f"{size / 2**10:g} KiB"
