"""A preset file: a set of flags with what it was chosen for and by, as `vlbench recommend` writes it.

`--preset FILE` takes it wherever a preset is named. It is TOML, so that it can be read and put under version control.
"""

import json
from pathlib import Path
from typing import Literal

from pydantic import Field

from vlbench.record.base import Amount, Checksummed, Count, Grid, Record, fitting
from vlbench.record.fingerprint import Fingerprint
from vlbench.record.schema import Device, Dtype
from vlbench.untrusted.files import Kind, read_toml

SUFFIX = ".toml"
PRESET = Kind(
    "write one with `vlbench recommend --out FILE.toml`", broken="{path}: not TOML ({why}); {remedy}", ours=True
)
ALIKE = 2.0
"""Times as many patches, or as few, from which on other shapes are named as such."""


class Figure(Record):
    """A ratio of times with its interval, what was called by it, and of how many trials."""

    ratio: Amount
    low: Amount
    high: Amount
    verdict: str
    trials: Count


class PresetFile(Checksummed):
    """What such a file holds."""

    schema_version: Literal[1] = 1
    flags: tuple[str, ...]
    device: Device
    model: str
    width: Count
    """Of the tower."""
    dtype: Dtype
    scenario: str
    point: str = ""
    grids: tuple[Grid, ...] = Field(min_length=1)
    """Frames, rows and columns of each item of a call, in patches."""
    by: str
    """By what it was chosen: "measured on ...", or that it was not measured on such a device."""
    why: dict[str, str]
    """Of each flag that was looked at: what was found."""
    figures: dict[str, Figure | float]
    """Ratios of times to that of the set; older files have the ratio alone."""
    created: str
    fingerprint: Fingerprint

    @property
    def patches(self) -> int:
        """Patches of a call."""
        return sum(t * h * w for t, h, w in self.grids)

    def made_for(self) -> str:
        """What it was chosen for, in words."""
        point = f" [{self.point}]" if self.point else ""
        return f"{self.device}, {self.model} (width {self.width:,}), {self.scenario}{point}, {self.patches:,} patches"

    def differs(self, device: str, width: int | None, patches: int | None = None) -> list[str]:
        """What is another device or size here, in words; what is not known is not asked."""
        here = []
        if device != self.device:
            here.append(device)
        if width not in (None, self.width):
            here.append(f"a tower of width {width:,}")
        if patches and not 1 / ALIKE <= patches / self.patches <= ALIKE:
            here.append(f"{patches:,} patches")
        return here


def is_preset_file(name: str) -> bool:
    """Is this the name of a preset file, rather than of a flag or a preset?"""
    return name.endswith(SUFFIX)


def read_preset(path: Path) -> PresetFile:
    """The preset in a file. Raises UsageError, naming file and field, for what is none."""
    content = json.loads(json.dumps(read_toml(path, PRESET), default=str))  # a date of TOML is none of JSON
    return fitting(PresetFile, content, path, f"mend it, or {PRESET.remedy}")


def preset_text(preset: PresetFile) -> str:
    """The file of a preset, with its checksum."""
    content = preset.with_checksum().model_dump(mode="json", exclude_none=True)
    tables = {name: content.pop(name) for name in list(content) if isinstance(content[name], dict)}
    lines = ["# Written by `vlbench recommend`; `--preset FILE` takes it wherever a preset is named."]
    lines += [f"{name} = {_value(value)}" for name, value in content.items()]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{_value(key)} = {_value(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """A value as TOML has it, which is as JSON has it but for two things."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_value(key)} = {_value(each)}" for key, each in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
