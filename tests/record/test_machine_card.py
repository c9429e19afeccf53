from __future__ import annotations

import pytest
from pydantic import ValidationError

from vlbench.record.machine_card import CopyCost, MachineCard

CARD = MachineCard(
    device="cpu",
    torch_threads=1,
    took_seconds=5.0,
    launch_us=1.2,
    copies=(CopyCost(size_bytes=4096, host_us=0.8),),
    gemm_size=512,
    gemm_fp32_gflops=90.0,
    copy_gb_s=12.0,
    python_loops_per_s=2e7,
    clock_step_ns=30,
)


def test_what_was_not_measured_is_none_also_in_json() -> None:
    again = MachineCard.model_validate_json(CARD.model_dump_json())
    assert again == CARD
    assert (again.sync_us, again.gemm_bf16_gflops, again.copies[0].pinned_us) == (None, None, None)


@pytest.mark.parametrize(
    ("field", "value"), [("launch_us", 0.0), ("sync_us", -1.0), ("copies", ()), ("device", "tpu"), ("launch", 1.0)]
)
def test_a_card_that_cannot_be_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        MachineCard.model_validate(CARD.model_dump() | {field: value})


def test_every_figure_is_described() -> None:
    figures = {name: field for name, field in MachineCard.model_fields.items() if name != "device"}
    assert all(field.description for field in [*figures.values(), *CopyCost.model_fields.values()])
