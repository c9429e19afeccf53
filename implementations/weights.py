"""Weights of a vision tower: random ones that let mistakes show, or a real Hugging Face checkpoint folder.

A state dict is made, cast and moved once and shared by every tower: `adopt` hands its tensors over without a copy.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from .config import VisionConfig

PREFIXES = ("model.visual.", "visual.")
"""Where checkpoints keep the vision tower: newer and older Hugging Face layouts."""
TOWER_PARTS = ("patch_embed.", "blocks.", "merger.")
"""How keys begin where the tower was saved alone."""

OUTLIER_CHANNELS = 4
OUTLIER_SCALE = 8.0


class SharedTensors(dict[str, Tensor]):
    """The tensors of a tower by key, and those made from them once for every tower that shares them.

    They are never written in place: every tower that adopted them would change, and what was made from them would not.
    """

    def __init__(self, tensors: Mapping[str, Tensor] | None = None) -> None:
        super().__init__(tensors or {})
        # The parts are kept beside the result, so that no other tensor can take their address.
        self._joined: dict[tuple[int, ...], tuple[tuple[Tensor, ...], Tensor]] = {}

    def joined(self, *parts: Tensor) -> Tensor:
        """The concatenation of `parts` along their first dimension, made once."""
        if not all(part.data_ptr() for part in parts):
            return torch.cat([part.detach() for part in parts])  # without memory there is nothing to share
        key = tuple(part.data_ptr() for part in parts)
        if key not in self._joined:
            self._joined[key] = (parts, torch.cat([part.detach() for part in parts]))
        return self._joined[key][1]


class CheckpointError(ValueError):
    """A checkpoint folder cannot serve as this tower's weights; the message says why and what to do."""


def parameter_shapes(config: VisionConfig) -> dict[str, torch.Size]:
    """Key and shape of every tensor of the tower, as in the released checkpoints, without a prefix."""
    from .baseline import build_baseline

    with torch.device("meta"):
        tower = build_baseline(config)
    return {key: tensor.shape for key, tensor in tower.state_dict().items()}


def random_weights(config: VisionConfig, seed: int = 0, dtype: torch.dtype = torch.float32) -> SharedTensors:
    """Weights drawn so that a structural mistake cannot hide below rounding.

    Normal with std 1/sqrt(fan_in); qkv larger, so that attention is peaked and positions matter; the two projections
    onto the residual stream scaled by depth; norm weights around 1; biases small; a few outlier channels, as trained
    towers have. With the usual std of 0.02 a tower without any rope passes a bf16 comparison.
    """
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    residual_gain = 2.0 / math.sqrt(2 * config.depth)
    for key, shape in parameter_shapes(config).items():
        noise = torch.randn(shape, generator=generator)
        if len(shape) == 1:
            is_norm = key.endswith("weight")
            tensor = 1.0 + 0.1 * noise if is_norm else 0.05 * noise
        else:
            tensor = noise / math.sqrt(shape[1:].numel())
            if key.endswith("attn.qkv.weight"):
                tensor *= 1.4
            elif key.endswith(("attn.proj.weight", "mlp.down_proj.weight", "mlp.fc2.weight")):
                tensor *= residual_gain
        weights[key] = tensor
    outliers = torch.randperm(config.hidden_size, generator=generator)[:OUTLIER_CHANNELS]
    weights["patch_embed.proj.weight"][outliers] *= OUTLIER_SCALE
    return SharedTensors({key: tensor.to(dtype) for key, tensor in weights.items()})


def load_checkpoint(folder: Path, config: VisionConfig, dtype: torch.dtype = torch.float32) -> SharedTensors:
    """The vision tensors of a Hugging Face checkpoint folder (safetensors, one file or shards with an index).

    Only the vision tensors are read. Raises CheckpointError when the folder has none, lacks some, holds another
    model's, or a file is damaged.
    """
    shapes = parameter_shapes(config)
    homes = _find_tensors(folder)
    missing = sorted(shapes.keys() - homes.keys())
    if missing:
        found = f"has {len(homes)} vision tensors but not" if homes else "has no vision tensors; expected"
        raise CheckpointError(
            f"{folder}: {found} {missing[0]!r} ({len(missing)} of {len(shapes)} missing); "
            f"give the folder of a {config.name} checkpoint or choose the model it holds"
        )
    unknown = sorted(homes.keys() - shapes.keys())
    if unknown:
        raise CheckpointError(
            f"{folder}: {unknown[0]!r} is not part of {config.name} ({len(unknown)} such tensors); "
            "choose the model that the checkpoint holds"
        )
    weights = SharedTensors()
    for file in sorted({file for file, _ in homes.values()}):
        with _open(file) as tensors:
            for key, (home, full_key) in homes.items():
                if home != file:
                    continue
                if full_key not in tensors.keys():  # noqa: SIM118 (a file handle, not a dict)
                    raise CheckpointError(f"{file}: lacks {full_key!r}, which the index promises; download it again")
                shape = torch.Size(tensors.get_slice(full_key).get_shape())
                if shape != shapes[key]:
                    raise CheckpointError(
                        f"{file}: {full_key!r} has shape {list(shape)} but {config.name} needs {list(shapes[key])}; "
                        "choose the model that the checkpoint holds"
                    )
                weights[key] = tensors.get_tensor(full_key).to(dtype)
    return weights


def adopt(tower: nn.Module, weights: SharedTensors) -> nn.Module:
    """Give `tower` these very tensors as its parameters, without a copy, and return it ready for inference."""
    device = next(iter(weights.values())).device
    tower.load_state_dict(weights, assign=True)
    for module in tower.modules():
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, buffer.to(device))
        if callable(derive := getattr(module, "derive", None)):
            derive(weights)
    for cache in getattr(tower, "caches", dict)().values():
        cache.clear()  # what it keeps may live on another device
    return tower.requires_grad_(False).eval()


def _find_tensors(folder: Path) -> dict[str, tuple[Path, str]]:
    """Key without prefix -> (file, key in the file), for the vision tensors alone."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: not a folder; give the folder that holds the checkpoint's .safetensors files")
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        where = {key: folder / name for key, name in _weight_map(index).items()}
    else:
        where = {}
        for file in sorted(folder.glob("*.safetensors")):
            with _open(file) as tensors:
                where.update(dict.fromkeys(tensors.keys(), file))
        if not where:
            raise CheckpointError(f"{folder}: no .safetensors file here; convert the checkpoint with save_pretrained")
    found = {
        key.removeprefix(prefix): (file, key)
        for key, file in where.items()
        for prefix in PREFIXES
        if key.startswith(prefix)
    }
    return found or {key: (file, key) for key, file in where.items() if key.startswith(TOWER_PARTS)}


def _weight_map(index: Path) -> dict[str, str]:
    """Key -> file name, from the index of a sharded checkpoint."""
    try:
        content = json.loads(index.read_text())
    except ValueError:  # neither JSON nor text
        content = None
    entries = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(entries, dict) or not all(isinstance(name, str) for name in entries.values()):
        raise CheckpointError(f"{index}: not a safetensors index with a 'weight_map'; download it again")
    return entries


def _open(file: Path) -> safe_open:
    try:
        return safe_open(file, framework="pt")
    except FileNotFoundError:
        raise CheckpointError(f"{file}: named by the index but not there; download the missing shard") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file}: damaged safetensors file ({error}); download it again") from None
