"""Named flag sets. Flags that mean nothing for a model or device are left out, and named."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..best import best_set, certificate
from ..config import MODELS, VisionConfig
from .seam import OPTIMIZATIONS, Exactness, FlagError, Optimization, find_flag, with_requirements


@dataclass(frozen=True)
class Preset:
    """A set of flags under one name."""

    name: str
    summary: str
    chosen: Callable[[str, int | None], Iterable[str]]
    """The flags for a kind of device and a width, before those that do not apply are left out."""
    not_chosen: Callable[[str, int | None], Mapping[str, str]] = lambda device, width: {}
    source: str = ""
    """Of a published system: which release of it, by when. Such a set is a row only where it is named."""
    lacks: str = ""
    """What of that system no flag shows, and where ours differs."""

    def flags(self, device: str, width: int | None = None) -> list[str]:
        """The flags for a kind of device and a tower of this width, by default a released one."""
        return list(self.chosen(device, width))

    def passed_over(self, device: str, width: int | None = None) -> Mapping[str, str]:
        """Flags that would mean something there and are not in it by choice, with the reason."""
        return self.not_chosen(device, width)

    def usual(self, device: str) -> list[str]:
        """Its flags that mean something on this kind of device, for a model that has windows and a gated MLP."""
        model = MODELS["qwen2.5-vl-7b"]
        return [flag for flag in self.flags(device) if find_flag(flag).inapplicable(model, device) is None]

    def elsewhere(self, device: str) -> dict[str, list[str]]:
        """Its other flags that mean something for some model, with the series of these, such as Qwen3-VL."""
        usual = self.usual(device)
        found = {flag: _series_of(find_flag(flag), device) for flag in self.flags(device) if flag not in usual}
        return {flag: series for flag, series in found.items() if series}


def _series_of(flag: Optimization, device: str) -> list[str]:
    names = " ".join(name for name, model in MODELS.items() if flag.inapplicable(model, device) is None)
    found = re.findall(r"\bqwen([\d.]+)(-vl)?", names)
    return list(dict.fromkeys(f"Qwen{number}{vl.upper()}" for number, vl in found))


def _every_exact(device: str, width: int | None) -> Iterable[str]:
    """Every bit-exact flag but those only named; where two of one seam exclude each other, the one it prefers."""
    seams = {flag.seam.name: flag.seam for flag in OPTIMIZATIONS.values() if flag.seam.in_tower}
    for seam in seams.values():
        exact = [name for name in seam.flags if _is_exact(name)]
        if exact:
            yield seam.default if seam.default in exact else exact[0]


def _is_exact(name: str) -> bool:
    """Is it, with all that it needs, and need not be named?"""
    classes = {OPTIMIZATIONS[each].exactness for each in with_requirements([name])}
    return not OPTIMIZATIONS[name].only_named and classes == {Exactness.BIT_EXACT}


def _of_system(name: str, source: str, flags: list[str], lacks: str) -> Preset:
    told = f"{source}, as far as there are flags for it"
    return Preset(name, told, lambda device, width: flags, source=source, lacks=lacks)


CLASSIC = ("rope-cache", "sdpa-prealloc", "argsort-inverse", "pinned-h2d")
PARTS = "rope caching, preallocated SDPA, argsort inverse, pinned copies"
REFERENCE = "the reference tower: a composite of the naive ways of early 2025, slower than any one stack"
DEVICES = {"cpu": ("a CPU", 0), "cuda": ("CUDA", None)}
"""Kinds of device in words, and the width of the default model there: 0 is a tiny one."""
BEST = "what was chosen for a kind of device, where other shapes may want other flags: " + "; ".join(
    f"on {words} {certificate(device, width).claim}" for device, (words, width) in DEVICES.items()
)

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("baseline", REFERENCE, lambda device, width: ()),
        Preset("classic", f"{PARTS}: together more operations and waits than without", lambda device, width: CLASSIC),
        Preset("exact", "every bit-exact flag that applies, but those to be named", _every_exact),
        Preset(
            "best",
            BEST,
            lambda device, width: best_set(device, width).flags,
            lambda device, width: best_set(device, width).passed_over,
        ),
    )
}


SYSTEMS = (Path(__file__).parent / "systems.toml").read_text(encoding="utf-8")
USUAL = tuple(PRESETS)
"""Those that are rows where nothing is named."""
PRESETS |= {name: _of_system(name, **told) for name, told in tomllib.loads(SYSTEMS).items()}


def preset_flags(name: str, config: VisionConfig, device: str) -> tuple[frozenset[str], dict[str, str]]:
    """The preset's flags for this model and device, and those left out with the reason of each."""
    if name not in PRESETS:
        raise FlagError(f"there is no preset {name!r}; the presets are {', '.join(PRESETS)}")
    return applicable(PRESETS[name].flags(device, config.hidden_size), config, device)


def applicable(flags: Iterable[str], config: VisionConfig, device: str) -> tuple[frozenset[str], dict[str, str]]:
    """Those of `flags` that mean something for this model and device, and the others with the reason of each."""
    kept, left_out = set(), {}
    for flag in flags:
        reason = find_flag(flag).inapplicable(config, device)
        if reason is None:
            kept.add(flag)
        else:
            left_out[flag] = reason
    return frozenset(kept), left_out
