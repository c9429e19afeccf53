"""One function per seam that can be measured alone: it makes the inputs of a size, and says how a way is called.

Shapes are those of the model at hand: its heads, its width, the windows and cells of square images.
"""

from collections.abc import Callable, Mapping
from itertools import accumulate
from math import isqrt

import torch
from torch import Tensor, nn

from vlbench.implementations.optimized.attention import attention, kernels
from vlbench.implementations.optimized.inverse import inverse, scatter_inverse
from vlbench.implementations.optimized.layout import layout, qkv_copies
from vlbench.implementations.optimized.patch_embed import embedding, patch_projection
from vlbench.implementations.optimized.position_ids import ids_on_host
from vlbench.implementations.optimized.rope import THETA, Angles, AngleTableEachTime, rope_sharing
from vlbench.implementations.optimized.rotary import rotate_apart, rotation
from vlbench.implementations.optimized.segments import Segments, longest_segment, segment_batches, segment_bounds
from vlbench.implementations.optimized.transfer import Pinned, pinning, shipment, upload
from vlbench.implementations.optimized.windows import ItemByItem, WithoutEmptyWindows, group_by_size, permute_cells
from vlbench.implementations.prompt.merge import Prompt, merge
from vlbench.implementations.prompt.pixels import StillEmbedding, pixel_format, still_frames
from vlbench.workload.seam_case import CONTENTS, SeamInputs, Setting, Way, seam_case

PLACEHOLDER = 151_655
"""Qwen's <|image_pad|>."""
PLAN_TENSORS = 6
"""As many as a plan has at most: the window order and its inverse, two bounds, gather and scatter."""


def _ladder(name: str, *sizes: int) -> dict[str, int]:
    return {f"{name}={size}": size for size in sizes}


@seam_case("inverse-permutation", inverse, sizes=_ladder("n", 81, 324, 1296, 4096, 16384))
def inverse_permutation(cells: int, setting: Setting) -> SeamInputs:
    """The inverse of a square image's window order of n merged cells, on the device."""
    side = isqrt(cells)
    order = WithoutEmptyWindows().cut(1, side, side, setting.config.window_cells).order
    hosts = [(order + number * 7) % cells for number in range(CONTENTS)]

    def way(flags: frozenset[str], dtype: torch.dtype) -> Way:
        chosen = inverse.way_of(flags)()

        def call(on_host: Tensor, on_device: Tensor) -> Tensor:
            back = chosen.on_host(on_host)
            return chosen.on_device(on_device) if back is None else back.to(setting.device)

        return call

    return SeamInputs([(host, host.to(setting.device)) for host in hosts], way)


BYTES = {"1KB": 1 << 10, "16KB": 1 << 14, "256KB": 1 << 18, "4MB": 1 << 22, "16MB": 1 << 24}


def _on_host(size: int, setting: Setting) -> list[tuple[Tensor, ...]]:
    rows, count = (CONTENTS, PLAN_TENSORS), size // PLAN_TENSORS // 4
    drawn = torch.randint(1 << 30, (*rows, count), generator=setting.draw, dtype=torch.int32)
    return [tuple(each) for each in drawn]


@seam_case("transfer", upload, shipment, sizes=BYTES, needs_gpu=True)
def transfer(size: int, setting: Setting) -> SeamInputs:
    """Six tensors of a plan, so many bytes in all, from pageable memory to the device."""

    def way(flags: frozenset[str], dtype: torch.dtype) -> Way:
        send, send_all = upload.way_of(flags)(), shipment.way_of(flags)

        def call(*tensors: Tensor) -> tuple[Tensor, ...]:
            named = {str(number): tensor for number, tensor in enumerate(tensors)}
            return _in_order(send_all(named, lambda tensor: send(tensor, setting.device)))

        return call

    return SeamInputs(_on_host(size, setting), way)


def _in_order(sent: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    return tuple(sent[name] for name in sorted(sent))


@seam_case("pinning", pinning, sizes=BYTES, needs_gpu=True)
def inverted_and_sent(size: int, setting: Setting) -> SeamInputs:
    """A permutation of so many bytes, inverted on the host and sent to the device through pinned memory."""

    def way(flags: frozenset[str], dtype: torch.dtype) -> Way:
        make, send = pinning.way_of(flags), Pinned()
        return lambda order: send(scatter_inverse(order, make), setting.device)

    return SeamInputs([(torch.randperm(size // 8, generator=setting.draw),) for _ in range(CONTENTS)], way)


@seam_case("rope", rotation, sizes=_ladder("n", 324, 1296, 5476, 16384))
def rope(patches: int, setting: Setting) -> SeamInputs:
    """The rotation of q and k of n patches in one layer; cos and sin are there already."""
    config, side = setting.config, isqrt(patches)
    ids = ids_on_host([(1, side, side)], config.spatial_merge_size, torch.device("cpu"))
    cos_sin = AngleTableEachTime(config)(ids, lambda: side).cos_sin().map(lambda rows: rows.to(setting.device))

    def way(flags: frozenset[str], dtype: torch.dtype) -> Way:
        rotate = rotation.way_of(flags)
        return lambda qkv: rotate(qkv, cos_sin, layout.naive_way(), qkv_copies.naive_way, config.num_heads)

    return SeamInputs([(setting.noise(patches, 3 * config.hidden_size),) for _ in range(CONTENTS)], way)


@seam_case(
    "attention",
    segment_bounds,
    segment_batches,
    longest_segment,
    attention,
    kernels,
    sizes={f"{side}x{side}": side for side in (16, 36, 74, 128)},
)
def windows_of_one_image(side: int, setting: Setting) -> SeamInputs:
    """Attention in the windows of one image of so many patches, in one layer."""
    config = setting.config
    cells = side // config.spatial_merge_size
    cut = WithoutEmptyWindows().cut(1, cells, cells, config.window_cells)
    order = ItemByItem(config.merge_unit).batch(iter([cut]))
    shape = (1, side * side, config.num_heads, config.head_dim)

    def way(flags: frozenset[str], dtype: torch.dtype) -> Way:
        attend, where, places = attention.way_of(flags)(), segment_bounds.way_of(flags)(), layout.naive_way()
        bounds, gather, scatter = order.bounds, None, None
        if attend.wants_runs and (grouped := group_by_size(order, config.merge_unit)):
            gather, bounds = grouped[0].to(setting.device), grouped[1]
            scatter = gather.argsort()
        there = bounds.to(setting.device)
        final = where.final(there if where.on_device else bounds, lambda tensor: tensor)
        batches, chosen = segment_batches.way_of(flags), kernels.way_of(flags)
        segments = Segments(final, gather, scatter, batches, there, longest_segment.way_of(flags)(bounds))

        def moved(x: Tensor, cells: Tensor | None) -> Tensor:
            return x if cells is None else permute_cells(x.view(side * side, -1), cells).view(x.shape)

        def call(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            q, k, v = (moved(part, gather) for part in (q, k, v))
            with chosen():
                return moved(attend(q, k, v, segments, places), scatter)

        return call

    return SeamInputs([tuple(setting.noise(*shape) for _ in range(3)) for _ in range(CONTENTS)], way)


@seam_case("patch-embed", embedding, sizes=_ladder("n", 324, 1296, 5476))
def patch_embed(patches: int, setting: Setting) -> SeamInputs:
    """The embedding of n patches."""
    projection = _projections(setting)

    def way(flags: frozenset[str], dtype: torch.dtype) -> Way:
        proj, embed = projection(dtype), embedding.way_of(flags)
        return lambda pixels: embed(proj, pixels)

    return SeamInputs([(setting.noise(patches, setting.config.patch_dim),) for _ in range(CONTENTS)], way)


def _projections(setting: Setting) -> Callable[[torch.dtype], nn.Conv3d]:
    """The model's patch projection in a dtype, of weights that are drawn once."""
    config = setting.config
    with torch.device("meta"):
        shapes = patch_projection(config).state_dict()
    drawn = {key: setting.noise(*meta.shape) / config.patch_dim**0.5 for key, meta in shapes.items()}

    def made(dtype: torch.dtype) -> nn.Conv3d:
        with torch.device("meta"):
            proj = patch_projection(config).requires_grad_(False)
        proj.load_state_dict({key: tensor.to(dtype) for key, tensor in drawn.items()}, assign=True)
        return proj

    return made


@seam_case("pixels", still_frames, pixel_format, sizes=_ladder("n", 784, 1296, 5476))
def bytes_of_stills(patches: int, setting: Setting) -> SeamInputs:
    """From the bytes of a still image of n patches on the host to their embedding on the device."""
    fed, projection = setting.config.preprocessing, _projections(setting)
    shape = (CONTENTS, patches, 3 * fed.patch_size**2)
    drawn = torch.randint(256, shape, generator=setting.draw, dtype=torch.uint8)

    def way(flags: frozenset[str], dtype: torch.dtype) -> Way:
        return StillEmbedding(projection(dtype), still_frames.way_of(flags), pixel_format.way_of(flags), fed)

    return SeamInputs([(each,) for each in drawn], way)


@seam_case("merge", merge, sizes=_ladder("n", 256, 1024, 4096, 16384))
def merge_into_prompt(tokens: int, setting: Setting) -> SeamInputs:
    """Vision tokens of three images into a prompt of n tokens, of which they are three quarters."""
    width, image = setting.config.out_hidden_size, tokens // 4
    ids = torch.randint(PLACEHOLDER, (tokens,), generator=setting.draw)
    for number in range(3):
        start = number * (tokens // 3)
        ids[start : start + image] = PLACEHOLDER
    hosts = [ids.roll(number * 11) for number in range(CONTENTS)]

    def way(flags: frozenset[str], dtype: torch.dtype) -> Way:
        chosen = merge.way_of(flags)
        return lambda embeddings, vision, host, device: chosen(embeddings, Prompt(host, device, PLACEHOLDER), vision)

    made = [
        (setting.noise(tokens, width), setting.noise(3 * image, width), host, host.to(setting.device)) for host in hosts
    ]
    return SeamInputs(made, way)


HEADS, HEAD_DIM, LENGTHS, LAYERS = 16, 64, (768, 1024), 4
"""Of the micro-benchmark of an agent's patch to vLLM's Qwen2-VL (2025), which has two such sequences, and one layer."""
TOKENS = sum(LENGTHS)


@seam_case("micro-rope", rope_sharing, sizes={f"n={TOKENS}": TOKENS})
def four_layers_rotated(tokens: int, setting: Setting) -> SeamInputs:
    """The rotation of q and k in four layers, 16 heads of 64, from angles."""
    exponent = torch.arange(HEAD_DIM // 2, dtype=torch.float32) / (HEAD_DIM // 2)
    angles = Angles(torch.outer(torch.arange(tokens, dtype=torch.float32), 1.0 / THETA**exponent).to(setting.device))

    def way(flags: frozenset[str], dtype: torch.dtype) -> Way:
        share, places, keep = rope_sharing.way_of(flags), layout.naive_way(), qkv_copies.naive_way

        def call(qkv: Tensor) -> tuple[Tensor, ...]:
            shared = share(angles)
            return [rotate_apart(qkv, shared, places, keep, HEADS) for _ in range(LAYERS)][-1]

        return call

    return SeamInputs([(setting.noise(tokens, 3 * HEADS * HEAD_DIM),) for _ in range(CONTENTS)], way)


@seam_case("micro-sdpa", attention, sizes=_ladder("n", TOKENS // 2, TOKENS))
def uneven_segments(tokens: int, setting: Setting) -> SeamInputs:
    """Attention in segments of 768 and 1,024 tokens, or half of these, 16 heads of 64, whose bounds the host has."""
    lengths = [each * tokens // TOKENS for each in LENGTHS]
    bounds = [0, *accumulate(lengths)]
    there = torch.tensor(bounds, dtype=torch.int32, device=setting.device)
    segments = Segments(bounds, cu_seqlens=there, longest=max(lengths))

    def way(flags: frozenset[str], dtype: torch.dtype) -> Way:
        attend, places = attention.way_of(flags)(), layout.naive_way()
        return lambda q, k, v: attend(q, k, v, segments, places)

    shape = (1, tokens, HEADS, HEAD_DIM)
    return SeamInputs([tuple(setting.noise(*shape) for _ in range(3)) for _ in range(CONTENTS)], way)
