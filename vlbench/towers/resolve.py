"""Towers by name: one of our models, ours with flags, a peer's, a package's, anyone's factory, or one elsewhere."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vlbench.errors import UsageError, in_one_line
from vlbench.implementations.config import MODELS, ConfigError, VisionConfig
from vlbench.implementations.floor import NAME as FLOOR
from vlbench.implementations.near import no_flag
from vlbench.implementations.peers import PEERS, PeerError
from vlbench.record.preset_file import is_preset_file
from vlbench.record.schema import NO_FLAGS, REFERENCE
from vlbench.towers.from_folder import check_flags, comes_from, our_tower, prefer, tower_in_folder
from vlbench.towers.installed import PackagedFactory, is_no_factory, no_package, packaged_factory
from vlbench.towers.models import SEED, drawn, find_model
from vlbench.towers.modules import as_imported, check_factory, lacks, look_here, module_meant
from vlbench.towers.of_images import images_of, takes_images, tokens_of
from vlbench.towers.preset_files import flags_in, spelled_out
from vlbench.towers.tower import Tower

if TYPE_CHECKING:
    import torch
    from torch import nn

    from vlbench.implementations.optimized import FlagSet

ALIASES = {"hf": "hf-sdpa"}


def resolve_tower(text: str) -> Tower:
    """The tower that `text` names.

    `qwen2.5-vl-7b` is the reference tower of that size, `qwen2.5-vl-7b+FLAG+...` our tower with flags or presets,
    `hf:qwen2.5-vl-7b` transformers' (also `hf-eager:` and `hf-compile:`), and `package.module:factory` whatever that
    function returns: a module, or a `vlbench.Tower`; `NAME:MODEL` what an installed package makes of the model, if one
    names such towers. `at:FOLDER:` before ours or a factory takes the code of that folder. `floor:qwen2.5-vl-7b` is
    that tower's products and attention alone. A factory is called here.
    Raises UsageError.
    """
    if is_foreign(text):
        return _foreign(text)
    if at := tower_in_folder(text):
        return our_tower(at)
    head, colon, model = text.partition(":")
    if colon and head == FLOOR:
        return _floor(model, text)
    return _peer(ALIASES.get(head, head), model, text) if colon else _ours(text)


def is_built_in(head: str) -> bool:
    """Is what stands before the colon a peer, or the floor, of the model behind it?"""
    return head == FLOOR or ALIASES.get(head, head) in PEERS


def is_foreign(text: str) -> bool:
    """Does `text` name a factory, a package's or any, rather than a tower that vlbench builds itself?"""
    if at := tower_in_folder(text):
        return at.is_foreign
    head, colon, _ = text.partition(":")
    return bool(colon) and not is_built_in(head)


def is_tower(text: str) -> bool:
    """Does `text` name a tower, rather than a variant of one of our models?"""
    return ":" in text or text.partition("+")[0] in MODELS


def config_of(text: str) -> VisionConfig | None:
    """Of our model that `text` names; None for anyone's factory and for the code of another folder."""
    if is_foreign(text) or tower_in_folder(text):
        return None
    return MODELS.get(text.rpartition(":")[2].partition("+")[0])


def check_tower(text: str) -> str | None:
    """Whose tower `text` names, None for ours, without calling anyone's factory. Raises UsageError."""
    if is_foreign(text):
        found = find_factory(text)
        return (found.source if isinstance(found, Tower | PackagedFactory) else "") or text
    return resolve_tower(text).source or None


def named_factory(text: str) -> tuple[str, str]:
    """The module and the attribute that `package.module:factory` names, neither of them imported.

    Raises UsageError for all that can be told so.
    """
    at = tower_in_folder(text)
    name, _, attribute = (at.tower if at else text).partition(":")
    if not name or not attribute:
        raise UsageError(f"tower {text!r}: write it as package.module:factory")
    if name.endswith(".py") or "/" in name:
        raise UsageError(f"tower {text!r}: {as_imported(name, attribute)}")
    if is_no_factory(attribute):
        raise no_package(text, [*PEERS, *ALIASES, FLOOR, "at"])
    if name == "__main__":
        raise UsageError(
            f"tower {text!r}: it is defined in a notebook cell or a script, which measuring processes cannot import; "
            f"write it into a module beside it, such as my_tower.py, and name my_tower:{attribute}"
        )
    if not at:
        try:
            check_factory(name, attribute)
        except UsageError as error:
            raise UsageError(f"tower {text!r}: {error}") from None
    return name, attribute


def find_factory(text: str) -> Any:
    """What `package.module:factory` names, imported with the current folder on the path, or a package's `NAME:MODEL`.

    Raises UsageError.
    """
    at = tower_in_folder(text)
    if not at and (packaged := packaged_factory(text)):
        return packaged
    name, attribute = named_factory(text)
    look_here()
    if at:
        prefer(at.folder, name)
    try:
        found: Any = importlib.import_module(name)
    except (Exception, SystemExit) as error:  # whatever a module raises when it is imported
        raise UsageError(f"tower {text!r}: {name} cannot be imported: {in_one_line(error)}") from None
    if at and not comes_from(found, at.folder):
        raise UsageError(f"tower {text!r}: {name} is imported from {found.__file__} all the same; uninstall it there")
    for part in attribute.split("."):
        if not hasattr(found, part):
            file = getattr(sys.modules.get(name), "__file__", None)
            raise UsageError(f"tower {text!r}: {lacks(name, attribute, file)}")
        found = getattr(found, part)
    if not callable(found) and not isinstance(found, Tower):
        raise UsageError(f"tower {text!r}: {attribute} is a {type(found).__name__}; name a function that makes a tower")
    return found


def flags_of(text: str, config: VisionConfig, device: str) -> tuple[FlagSet, dict[str, str]]:
    """The flags that `text` names, and those of its presets and preset files that mean nothing here, with the reason.

    Raises UsageError for what does not exist, conflicts, or means nothing for this model on this device.
    """
    from vlbench.implementations import optimized
    from vlbench.implementations.optimized import OPTIMIZATIONS, PRESETS, FlagError, FlagSet, applicable, preset_flags
    from vlbench.implementations.optimized.seam import RENAMED

    flags: set[str] = set()
    left_out: dict[str, str] = {}
    try:
        for name in text.split("+") if text != NO_FLAGS else ():
            if name in PRESETS or is_preset_file(name):
                if name in PRESETS:
                    kept, out = preset_flags(name, config, device)
                else:
                    kept, out = applicable(flags_in(name, optimized), config, device)
                flags |= kept
                left_out |= out
            elif name in PEERS:
                raise FlagError(f"{name} is another project's tower, which has none of our flags; name it alone")
            elif name not in OPTIMIZATIONS and name not in RENAMED:
                raise FlagError(no_flag(name, OPTIMIZATIONS, PRESETS))
            else:
                flags.add(name)
        return FlagSet(frozenset(flags), config, device), left_out
    except FlagError as error:
        raise UsageError(f"variant {text!r}: {error}") from None


def check_model(text: str) -> None:
    """Raises UsageError where the model of ours that `text` names, behind a colon or before flags, is none."""
    _model(text.rpartition(":")[2].partition("+")[0], text)


def _ours(text: str) -> Tower:
    name, *flags = text.split("+")
    config = _model(name, text)

    def load(weights: Any) -> nn.Module:
        from vlbench.implementations import build_tower

        device = next(iter(weights.values())).device.type
        kind = "cuda" if device == "meta" else device  # what is only counted is counted for a GPU
        naive = flags in ([], [REFERENCE])
        chosen = None if naive else flags_of("+".join(flags), config, kind)[0].names
        try:
            return build_tower(config, chosen, weights, kind)
        except ConfigError as error:
            raise UsageError(f"tower {text!r}: {error}") from None

    if flags:
        from vlbench.implementations import optimized

        check_flags(optimized, spelled_out(text, optimized).split("+")[1:], text)
    return _of_model(config, load, text)


def _peer(name: str, model: str, text: str) -> Tower:
    config, peer = _model(model, text), PEERS[name]
    try:
        source = peer.require()
    except PeerError as error:
        raise UsageError(f"tower {text!r}: {error}") from None
    return replace(_of_model(config, lambda weights: peer.build(config, weights), text), source=source)


def _floor(model: str, text: str) -> Tower:
    config = _model(model, text)

    def load(weights: Any) -> nn.Module:
        from vlbench.implementations.floor_tower import build_floor

        return build_floor(config, weights)

    return replace(_of_model(config, load, text), source="its products and attention alone")


def _of_model(config: VisionConfig, load: Callable[[Any], nn.Module], text: str) -> Tower:
    def make(device: torch.device, dtype: torch.dtype) -> nn.Module:
        return load(drawn(config, device, dtype))

    return Tower(make, load, config.name, stages=None, name=text)


def _foreign(text: str) -> Tower:
    factory = find_factory(text)
    whose = factory.source if isinstance(factory, PackagedFactory) else text
    platform = factory.platform if isinstance(factory, PackagedFactory) else ""
    if isinstance(factory, Tower):
        return replace(factory, name=text, source=factory.source or text)
    made = _called(factory, text)
    if isinstance(made, Tower):
        return replace(made, name=text, source=made.source or whose, platform=platform or made.platform)
    waiting = [made]

    def make(device: torch.device, dtype: torch.dtype) -> nn.Module:
        import torch

        if waiting:  # what was made to see what the factory makes serves as the first
            return _cast(waiting.pop().to(device), dtype)
        with torch.device(device):
            another = _called(factory, text)
        return _cast(another.to(device), dtype)

    if takes_images(made):
        images = images_of(made, text)
        return Tower(make, tokens=tokens_of, preprocessing=images, name=text, source=whose, platform=platform)
    return Tower(make, name=text, source=whose, platform=platform)


def _called(factory: Callable[[], Any], text: str) -> Any:
    import torch

    try:
        with torch.random.fork_rng():
            torch.manual_seed(SEED)
            made = factory()
    except KeyboardInterrupt:
        raise
    except UsageError as error:  # its own sentence
        raise UsageError(f"tower {text!r}: {error}") from None
    except BaseException as error:  # whatever a factory raises, SystemExit among it
        raise UsageError(f"tower {text!r}: the factory raised {in_one_line(error)}") from None
    if not isinstance(made, torch.nn.Module | Tower):
        raise UsageError(
            f"tower {text!r}: the factory returned a {type(made).__name__}; return a torch.nn.Module or a vlbench.Tower"
        )
    return made


def _cast(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Parameters and stored buffers in `dtype`; computed buffers, such as rope frequencies, stay as they are."""
    import torch

    others = {torch.float64, torch.float32, torch.bfloat16, torch.float16} - {dtype}
    stored = {key: tensor for key, tensor in module.state_dict().items() if isinstance(tensor, torch.Tensor)}
    casts = {key: tensor.to(dtype) for key, tensor in stored.items() if tensor.dtype in others}
    module.requires_grad_(False).load_state_dict(casts, strict=False, assign=True)
    return module


def _model(name: str, text: str) -> VisionConfig:
    if name not in MODELS and (meant := module_meant(name)):
        raise UsageError(f"tower {text!r}: there is no model {name!r}; {meant}")
    return find_model(name, f"tower {text!r}", "; others are package.module:factory")
