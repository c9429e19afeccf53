"""Weights of a vision tower: random ones that let mistakes show, or a real Hugging Face checkpoint folder.

A state dict is made, cast and moved once and shared by every tower: `adopt` hands its tensors over without a copy.
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from .checkpoint_config import CheckpointError as CheckpointError, difference
from .config import VisionConfig

PREFIXES = ("model.visual.", "visual.")
"""Where checkpoints keep the vision tower: newer and older Hugging Face layouts."""
TOWER_PARTS = ("patch_embed.", "pos_embed.", "blocks.", "merger.", "deepstack_merger_list.")
"""How keys begin where the tower was saved alone."""

FLOATS = ("F64", "F32", "F16", "BF16")
"""Dtypes of safetensors whose numbers are the weights."""
QUANTISED_KEY = re.compile(
    r"(weight_scale(_inv)?|input_scale|scales?|absmax|quant_map|quant_state\.\S+|qweight|qzeros|g_idx|SCB|weight_packed"
    r"|weight_zero_point|weight_shape)$"
)
"""What FP8, NF4, GPTQ, AWQ and their like keep beside or in place of a weight."""
NOT_QUANTISED = "quantised towers are not supported: give the checkpoint in bfloat16"

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

    def joined(self, *parts: Tensor, room: tuple[int, ...] = ()) -> Tensor:
        """The concatenation of `parts` along their first dimension, made once.

        With `room`, each part is filled up with zeros to that shape.
        """
        if not all(part.data_ptr() for part in parts):
            return _concatenated(parts, room)  # without memory there is nothing to share
        key = (*(part.data_ptr() for part in parts), *room)
        if key not in self._joined:
            self._joined[key] = (parts, _concatenated(parts, room))
        return self._joined[key][1]


def _concatenated(parts: tuple[Tensor, ...], room: tuple[int, ...]) -> Tensor:
    return torch.cat([_filled_up(part.detach(), room) for part in parts])


def _filled_up(part: Tensor, room: tuple[int, ...]) -> Tensor:
    missing = [size - own for size, own in zip(room, part.shape, strict=bool(room))]
    return F.pad(part, [each for much in reversed(missing) for each in (0, much)]) if any(missing) else part


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
        elif key == "pos_embed.weight":
            tensor = noise  # of the size of the patches that it is added to
        else:
            tensor = noise / math.sqrt(shape[1:].numel())
            if key.endswith("attn.qkv.weight"):
                tensor *= 1.4
            elif key.endswith(("attn.proj.weight", "mlp.down_proj.weight", "mlp.fc2.weight", "mlp.linear_fc2.weight")):
                tensor *= residual_gain
        weights[key] = tensor
    outliers = torch.randperm(config.hidden_size, generator=generator)[:OUTLIER_CHANNELS]
    weights["patch_embed.proj.weight"][outliers] *= OUTLIER_SCALE
    return SharedTensors({key: tensor.to(dtype) for key, tensor in weights.items()})


def load_checkpoint(folder: Path, config: VisionConfig, dtype: torch.dtype = torch.float32) -> SharedTensors:
    """The vision tensors of a Hugging Face checkpoint folder (safetensors, one file or shards with an index).

    Only the vision tensors are read. Raises CheckpointError when the folder has none, lacks some, holds another
    model's by its tensors or its config.json, holds one twice, quantised or not finite, or a file is damaged.
    """
    if differs := difference(folder, config):
        raise CheckpointError(f"{differs}; choose the model it holds, or leave --model out")
    shapes = parameter_shapes(config)
    homes = find_tensors(folder)
    for key, (file, full_key) in homes.items():
        if QUANTISED_KEY.search(key) and key not in shapes:
            raise CheckpointError(f"{file}: {full_key!r} is of a quantised tower; {NOT_QUANTISED}")
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
                slice_ = tensors.get_slice(full_key)
                _check_dtype(file, full_key, slice_.get_dtype())
                shape = torch.Size(slice_.get_shape())
                if shape != shapes[key]:
                    raise CheckpointError(
                        f"{file}: {full_key!r} has shape {list(shape)} but {config.name} needs {list(shapes[key])}; "
                        "choose the model that the checkpoint holds"
                    )
                weights[key] = _finite(file, full_key, tensors.get_tensor(full_key), dtype)
    if not any(tensor.any() for tensor in weights.values()):
        raise CheckpointError(f"{folder}: every weight is zero, so every tower returns zeros; give trained weights")
    return weights


def _check_dtype(file: Path, key: str, dtype: str) -> None:
    """Raises CheckpointError for a tensor whose values are not what its numbers say, or that are none of a network."""
    if dtype not in FLOATS:
        whole = dtype in ("BOOL", "I16", "I32", "I64", "U16", "U32", "U64")
        told = "which no weight is; download it again" if whole else f"as of a quantised tower; {NOT_QUANTISED}"
        raise CheckpointError(f"{file}: {key!r} is of {dtype}, {told}")


def _finite(file: Path, key: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """The tensor in `dtype`. Raises CheckpointError where a value is NaN or infinite, or becomes it."""
    if not torch.isfinite(tensor).all():
        raise CheckpointError(f"{file}: {key!r} holds NaN or infinity; download it again")
    cast = tensor.to(dtype)
    if not torch.isfinite(cast).all():
        name, largest = str(dtype).removeprefix("torch."), float(tensor.abs().max())
        raise CheckpointError(f"{file}: {key!r} holds {largest:.3g}, which {name} cannot; choose another --dtype")
    return cast


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


def find_tensors(folder: Path) -> dict[str, tuple[Path, str]]:
    """Key without prefix -> (file, key in the file), for the vision tensors alone."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: not a folder; give the folder that holds the checkpoint's .safetensors files")
    index = folder / "model.safetensors.index.json"
    where = [(key, folder / name) for key, name in _weight_map(index).items()] if index.is_file() else []
    indexed = {file for _, file in where}
    for file in sorted(set(folder.glob("*.safetensors")) - indexed):
        with _open(file) as tensors:
            where += [(key, file) for key in tensors.keys()]  # noqa: SIM118 (a file handle, not a dict)
    if not where:
        raise CheckpointError(f"{folder}: no .safetensors file here; convert the checkpoint with save_pretrained")
    found: dict[str, tuple[Path, str]] = {}
    own = [key for key, _ in where if key.startswith(PREFIXES)]
    for key, file in where:
        prefix = next((each for each in PREFIXES if key.startswith(each)), "")
        if not key.startswith(tuple(PREFIXES) if own else TOWER_PARTS):
            continue
        if (plain := key.removeprefix(prefix)) in found:
            other, also = found[plain]
            twice = f"{also!r} in {other.name} and {key!r} in {file.name}"
            raise CheckpointError(f"{folder}: {plain!r} is there twice, as {twice}; remove the one that is old")
        found[plain] = (file, key)
    return found


def _weight_map(index: Path) -> dict[str, str]:
    """Key -> file name, from the index of a sharded checkpoint."""
    try:
        content = json.loads(index.read_text())
    except ValueError:  # neither JSON nor text
        content = None
    entries = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(entries, dict) or not all(isinstance(name, str) for name in entries.values()):
        raise CheckpointError(f"{index}: not a safetensors index with a 'weight_map'; download it again")
    if outside := [name for name in entries.values() if Path(name).name != name]:
        raise CheckpointError(f"{index}: {outside[0]!r:.80} is no file of the folder itself; download it again")
    return entries


def _open(file: Path) -> safe_open:
    try:
        return safe_open(file, framework="pt")
    except FileNotFoundError:
        raise CheckpointError(f"{file}: named by the index but not there; download the missing shard") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file}: damaged safetensors file ({error}); download it again") from None
