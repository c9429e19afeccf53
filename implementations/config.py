"""The shape of a vision tower: every released size, pinned by hand, and tiny ones for machines without a GPU.

The class defaults of transformers' configs are not the values of the released checkpoints (`Qwen2_5_VLVisionConfig`
defaults to a width of 3584), so no size here is taken from a default.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from math import isqrt
from typing import Any, Literal, assert_never, get_args, get_origin, get_type_hints

from .preprocessing import QWEN3, Preprocessing

Family = Literal["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5"]
Norm = Literal["layer_norm", "rms_norm"]
Mlp = Literal["two_linears", "gated"]
"""fc2(act(fc1(x))), or down(act(gate(x)) * up(x))."""
Activation = Literal["quick_gelu", "gelu_tanh", "silu"]
PositionEmbedding = Literal["rope", "rope_and_learned"]
"""Rotated q and k alone, or a learned table added to the patches as well."""

_QWEN3: Mapping[str, Any] = {
    "norm": "layer_norm",
    "mlp": "two_linears",
    "activation": "gelu_tanh",
    "patch_bias": True,
    "position_embedding": "rope_and_learned",
}
FAMILIES: Mapping[Family, Mapping[str, Any]] = {
    "qwen2_vl": {"norm": "layer_norm", "mlp": "two_linears", "activation": "quick_gelu"},
    "qwen2_5_vl": {"norm": "rms_norm", "mlp": "gated", "activation": "silu"},
    "qwen3_vl": _QWEN3,
    "qwen3_5": _QWEN3,
}
"""The arithmetic of each family's released towers. Qwen3.5, and Qwen3.8, is Qwen3-VL without deepstack."""

_QWEN2_VL = Preprocessing()
LARGEST = 1_000_000
"""Of a tower's sizes: far above any."""
DEEPEST = 1_000
"""Blocks of a tower: each is an object, even where it holds no numbers yet."""


class ConfigError(ValueError):
    """A shape of a tower that does not exist, or that is asked of code without it; the message says which field."""


@dataclass(frozen=True)
class VisionConfig:
    """Everything that fixes a vision tower's parameters and its arithmetic.

    The fields decide what is computed. `family` is a label: which of several files holds a reference tower, and which
    class is another project's. Raises ConfigError for a kind that does not exist.
    """

    name: str
    family: Family
    depth: int
    """Number of transformer blocks."""
    hidden_size: int
    """Width of the tower (Qwen2-VL's own config calls this `embed_dim`)."""
    num_heads: int
    intermediate_size: int
    """Width inside the MLP."""
    out_hidden_size: int
    """Width of the language model, that is of the output (Qwen2-VL's own config calls this `hidden_size`)."""
    fullatt_block_indexes: tuple[int, ...] = ()
    """Blocks that attend over the whole frame; the others attend inside windows. Unused without windows."""
    window_size: int | None = None
    """Side of an attention window in pixels, None where every block attends over the whole frame."""
    preprocessing: Preprocessing = _QWEN2_VL
    """Which patches it is fed."""
    in_channels: int = 3
    _: KW_ONLY
    norm: Norm
    mlp: Mlp
    activation: Activation
    """Of the MLP in a block."""
    patch_bias: bool = False
    """Does the projection of the patches add a bias?"""
    position_embedding: PositionEmbedding = "rope"
    position_table: int = 0
    """Rows of the learned table of positions, a square of patches; 0 without one."""
    deepstack_blocks: tuple[int, ...] = ()
    """Blocks after which merged tokens are handed out as well, for early layers of the language model."""

    def __post_init__(self) -> None:
        for field, kind in get_type_hints(VisionConfig).items():
            choices = get_args(kind) if get_origin(kind) is Literal else ()
            if choices and (value := getattr(self, field)) not in choices:
                raise ConfigError(f"{self.name}: {field} is {value!r}; choose one of {', '.join(choices)}")
        self._check_numbers()
        if (self.position_embedding == "rope_and_learned") != (self.position_table > 0):
            raise ConfigError(
                f"{self.name}: position_table is {self.position_table} where position_embedding is "
                f"{self.position_embedding!r}; a learned table has rows, and nothing else has"
            )
        if isqrt(self.position_table) ** 2 != self.position_table:
            raise ConfigError(f"{self.name}: position_table is {self.position_table}; give a square number")
        if strange := [block for block in self.deepstack_blocks if block not in range(self.depth)]:
            raise ConfigError(f"{self.name}: deepstack_blocks has {strange[0]}; choose from 0 to {self.depth - 1}")
        if list(self.deepstack_blocks) != sorted(set(self.deepstack_blocks)):
            raise ConfigError(f"{self.name}: deepstack_blocks is {self.deepstack_blocks}; give each once, in order")

    def _check_numbers(self) -> None:
        counts = ("depth", "hidden_size", "num_heads", "intermediate_size", "out_hidden_size", "in_channels")
        for field in (*counts, *(["window_size"] if self.window_size is not None else []), "position_table"):
            value, least = getattr(self, field), 0 if field == "position_table" else 1
            most = DEEPEST if field == "depth" else LARGEST
            if type(value) is not int or not least <= value <= most:
                raise ConfigError(
                    f"{self.name}: {field} is {value!r:.40}; give a whole number from {least} to {most:,}"
                )
        for field in ("fullatt_block_indexes", "deepstack_blocks"):
            blocks = getattr(self, field)
            if not isinstance(blocks, tuple) or not all(type(block) is int for block in blocks):
                raise ConfigError(f"{self.name}: {field} is {blocks!r:.60}; give a tuple of block numbers")
        if self.hidden_size % self.num_heads or self.head_dim % 4:
            raise ConfigError(
                f"{self.name}: hidden_size is {self.hidden_size} with num_heads {self.num_heads}; each head needs the "
                "same whole number of channels, a multiple of 4"
            )
        if self.window_size is not None and self.window_size % (side := self.patch_size * self.spatial_merge_size):
            raise ConfigError(
                f"{self.name}: window_size is {self.window_size}; give a multiple of {side}, a merged patch"
            )
        strange = [block for block in self.fullatt_block_indexes if block not in range(self.depth)]
        if strange and self.window_size is not None:
            raise ConfigError(f"{self.name}: fullatt_block_indexes has {strange[0]}; choose from 0 to {self.depth - 1}")

    def require(self, whose: str, **computed: object) -> None:
        """Raises ConfigError for a field that is another than `computed`, which is all that `whose` code computes."""
        for field, value in computed.items():
            if (own := getattr(self, field)) != value:
                raise ConfigError(f"{self.name}: {field} is {own!r}, and {whose} has {value!r} alone; choose another")

    def require_family(self, whose: str) -> None:
        """Raises ConfigError unless the arithmetic is that of the family's released towers."""
        self.require(whose, **{"patch_bias": False, "position_embedding": "rope"} | dict(FAMILIES[self.family]))
        if self.family != "qwen3_vl":
            self.require(whose, deepstack_blocks=())

    @property
    def patch_size(self) -> int:
        """Side of a patch in pixels."""
        return self.preprocessing.patch_size

    @property
    def temporal_patch_size(self) -> int:
        """Frames in a patch."""
        return self.preprocessing.temporal_patch_size

    @property
    def spatial_merge_size(self) -> int:
        """Side of the square of patches that becomes one token."""
        return self.preprocessing.merge_size

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_heads

    @property
    def merge_unit(self) -> int:
        """Patches that become one output token: 4."""
        return self.spatial_merge_size**2

    @property
    def patch_dim(self) -> int:
        """Values in one patch row of the input: channels x frames x rows x columns."""
        return self.preprocessing.patch_dim

    @property
    def mlp_linears(self) -> tuple[str, str]:
        """What checkpoints of the family call the two linears of an MLP that has two."""
        match self.family:
            case "qwen2_vl" | "qwen2_5_vl":
                return "fc1", "fc2"
            case "qwen3_vl" | "qwen3_5":
                return "linear_fc1", "linear_fc2"
            case _:
                assert_never(self.family)

    @property
    def window_cells(self) -> int:
        """Side of an attention window in merged 2x2 cells: 4."""
        if self.window_size is None:
            raise ConfigError(f"{self.name} has no attention windows")
        return self.window_size // self.patch_size // self.spatial_merge_size

    def attends_fully(self, block: int) -> bool:
        """Does this block see its whole frame?"""
        return self.window_size is None or block in self.fullatt_block_indexes


def _qwen2_vl(size: str, out_hidden_size: int) -> VisionConfig:
    return VisionConfig(f"qwen2-vl-{size}", "qwen2_vl", 32, 1280, 16, 5120, out_hidden_size, **FAMILIES["qwen2_vl"])


def _qwen2_5_vl(size: str, intermediate_size: int, out_hidden_size: int) -> VisionConfig:
    sizes = (32, 1280, 16, intermediate_size, out_hidden_size, (7, 15, 23, 31), 112)
    return VisionConfig(f"qwen2.5-vl-{size}", "qwen2_5_vl", *sizes, **FAMILIES["qwen2_5_vl"])


def _qwen3(name: str, family: Family, tower: tuple[int, int, int, int], out: int, *deepstack: int) -> VisionConfig:
    """`tower`: depth, width, heads, width inside the MLP."""
    more: dict[str, Any] = {"position_table": 48 * 48, "deepstack_blocks": deepstack, **FAMILIES[family]}
    return VisionConfig(name, family, *tower, out, preprocessing=QWEN3, **more)


_QWEN3_S, _QWEN3_M, _QWEN3_L = (12, 768, 12, 3072), (24, 1024, 16, 4096), (27, 1152, 16, 4304)


def _qwen3_vl(size: str, out: int) -> VisionConfig:
    small = size in ("2b", "4b")
    blocks = (5, 11, 17) if small else (8, 16, 24)
    return _qwen3(f"qwen3-vl-{size}", "qwen3_vl", _QWEN3_M if small else _QWEN3_L, out, *blocks)


_SIZES = (
    _qwen2_vl("2b", 1536),
    _qwen2_vl("7b", 3584),
    _qwen2_vl("72b", 8192),
    _qwen2_5_vl("3b", 3420, 2048),
    _qwen2_5_vl("7b", 3420, 3584),
    _qwen2_5_vl("32b", 3456, 5120),
    _qwen2_5_vl("72b", 3456, 8192),
    _qwen3_vl("2b", 2048),
    _qwen3_vl("4b", 2560),
    _qwen3_vl("8b", 4096),
    _qwen3_vl("32b", 5120),
    _qwen3_vl("30b-a3b", 2048),
    _qwen3_vl("235b-a22b", 4096),
    _qwen3("qwen3.5-0.8b", "qwen3_5", _QWEN3_S, 1024),
    _qwen3("qwen3.5-2b", "qwen3_5", _QWEN3_M, 2048),
    _qwen3("qwen3.5-4b", "qwen3_5", _QWEN3_M, 2560),
    _qwen3("qwen3.5-9b", "qwen3_5", _QWEN3_L, 4096),
    _qwen3("qwen3.5-27b", "qwen3_5", _QWEN3_L, 5120),
    _qwen3("qwen3.8-27b", "qwen3_5", _QWEN3_L, 5120),
    # Two heads of the real head_dim, so that rope and attention meet the shapes they meet in the real towers.
    VisionConfig("qwen2-vl-tiny", "qwen2_vl", 4, 160, 2, 640, 256, **FAMILIES["qwen2_vl"]),
    VisionConfig("qwen2.5-vl-tiny", "qwen2_5_vl", 4, 160, 2, 428, 256, (3,), 112, **FAMILIES["qwen2_5_vl"]),
    _qwen3("qwen3-vl-tiny", "qwen3_vl", (4, 144, 2, 538), 256, 0, 2),
    _qwen3("qwen3.5-tiny", "qwen3_5", (4, 128, 2, 512), 256),
)

MODELS: dict[str, VisionConfig] = {config.name: config for config in _SIZES}

UNCONFIRMED: Mapping[str, str] = {
    "qwen2.5-vl-32b": "from copies of its config, and some say that it has no windows",
    "qwen2.5-vl-72b": "no source; check against your checkpoint's config",
    "qwen3-vl-2b": "from copies of its config",
    "qwen3-vl-4b": "from copies of its config",
    "qwen3-vl-30b-a3b": "no source; check against your checkpoint's config",
    "qwen3-vl-235b-a22b": "no source; check against your checkpoint's config",
}
"""Sizes that no source of the makers has shown us, and where ours are from: read the config of your checkpoint."""
