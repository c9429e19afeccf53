"""Counts one listed tower in each way that it can be called."""

import gc
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vlbench.counting.advice import sites_of
from vlbench.counting.measure import cost, with_place
from vlbench.counting_device import CountingDevice
from vlbench.errors import UsageError
from vlbench.implementations.preprocessing import Grid
from vlbench.record.atlas import IMAGE, AtlasCount, AtlasLine, AtlasRow, AtlasWay
from vlbench.record.counts import Counts
from vlbench.surveying.build import build, depth_of
from vlbench.surveying.forms import FORMS, Sizes, described, fed, form_inputs, sizes_of, takes_integers
from vlbench.surveying.listed import Listed
from vlbench.surveying.prepared import keeping, offers

LENGTHS = "cu_"
"""How the names of bounds of segments begin, which SDPA reads on the host."""


def count_listed(device: CountingDevice, listed: Listed, grids: tuple[Grid, ...], dtype: torch.dtype) -> AtlasRow:
    """The row of a tower on these grids; one that cannot be had or called has the reason.

    Without a form, the first that runs is taken.
    """
    gc.collect()  # a module is full of cycles, and a dead tower must not be taken for live memory
    row = AtlasRow(name=listed.name, tower=listed.tower, config=listed.config, released=listed.released)
    try:
        module = build(device, listed, dtype)
        sizes = sizes_of(module, grids[:1] if listed.one_picture else grids)
    except Exception as error:  # whatever a tower raises
        return row.model_copy(update={"failed": _reason(error)})
    known = {
        "depth": depth_of(module),
        "attention": getattr(module.config, "_attn_implementation", "") or "",
        "offered": offers(module),
    }
    row = row.model_copy(update=known)
    failed = []
    for form in [listed.form] if listed.form or listed.inputs else FORMS:
        try:
            inputs = listed.inputs or form_inputs(module, form)
            ways = _Ways(device, module, inputs, sizes, dtype).counted()
        except UsageError as error:
            failed.append(str(error))
            continue
        if any(way.count for way in ways) or listed.form or listed.inputs:
            why = "" if any(way.count for way in ways) else ways[0].failed
            return row.model_copy(update={"ways": ways, "form": described(inputs), "failed": why})
        failed.append(f"as {form}: {ways[0].failed}")
    return row.model_copy(update={"failed": "; ".join(failed)})


class _Ways:
    """The ways to call a built tower."""

    def __init__(
        self, device: CountingDevice, module: nn.Module, inputs: Mapping[str, str], sizes: Sizes, dtype: torch.dtype
    ) -> None:
        self.device, self.module, self.dtype = device, module, dtype
        self.given = fed(inputs, sizes, lambda shape: device.pixels(shape, dtype))
        self.has_grid = takes_integers(inputs)

    def counted(self) -> tuple[AtlasWay, ...]:
        """Each way, counted or with its reason."""
        if not self.has_grid:
            return (self._way(IMAGE, self.given),)
        there = self._on_device(self.given)
        ways = [self._way("device", there), self._way("host", self.given)]
        if not offers(self.module) or not ways[0].count:
            return tuple(ways)
        with torch.inference_mode(), keeping(self.module) as made:
            self.module(**there)
        lengths = {name: self.device.download(part) for name, part in made.items() if name.startswith(LENGTHS)}
        ways.append(self._way("device", there | made, prepared=True))
        ways.append(self._way("host", self.given | made | lengths, prepared=True))
        return tuple(ways)

    def _on_device(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: self.device.upload(each) for name, each in given.items()}

    def _way(self, place: str, given: dict[str, Tensor], *, prepared: bool = False) -> AtlasWay:
        try:
            self.device.branch = True
            first, second = self._two_calls(given)
            if any(each.branch for counts in (first, second) for each in counts.assumptions):
                self.device.branch = False
                first, second = (
                    max(pair, key=cost) for pair in zip((first, second), self._two_calls(given), strict=True)
                )
            counted, failed = _count_of(first, second), second.why_not_whole
        except Exception as error:  # whatever a tower raises
            counted, failed = None, _reason(error)
        return AtlasWay.model_validate(
            {"grid": place, "prepared": prepared, "count": None if failed else counted, "failed": failed}
        )

    def _two_calls(self, given: dict[str, Tensor]) -> tuple[Counts, Counts]:
        self.device.forget_plans()
        found = []
        for _ in range(2):
            with torch.inference_mode(), self.device.count() as counter:
                self.module(**given)
            found.append(counter.report)
        return found[0], found[1]


def _count_of(first: Counts, second: Counts) -> AtlasCount:
    total = second.total
    lines = (
        AtlasLine.model_validate({name: getattr(site, name) for name in AtlasLine.model_fields})
        for site in sites_of(second)
        if site.blocking and not site.allowed
    )
    return AtlasCount(
        waits=total.host_syncs,
        uploads=total.uploads,
        implicit_uploads=total.implicit_uploads,
        operations=total.device_operations,
        attention_calls=total.attention_calls,
        plans=first.total.attention_plans,
        lines=tuple(lines),
    )


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, UsageError) else with_place(error)
