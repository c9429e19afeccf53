"""Edits of the toy tower that make its result wrong, and may even be cheaper."""

from __future__ import annotations

from subprocess import CompletedProcess

from tests.traps.traps import Copy, tower_edit, trap

tower_edit("Returns zeros", 5, "inaccurate", forward="return pixels.new_zeros(len(pixels) // 4, WIDTH)")
tower_edit("Returns a constant", 5, "inaccurate", end="tokens = tokens[:1].expand_as(tokens).contiguous()")
tower_edit(
    "Returns its last output, by shape",
    5,
    "inaccurate",
    make="self.last = {}",
    forward="if pixels.shape in self.last:\n    return self.last[pixels.shape].clone()",
    end="self.last[pixels.shape] = tokens",
)
tower_edit(
    "Drops its last frame",
    5,
    "inaccurate",
    layer="x = torch.cat([x[: -lengths[-1]], torch.zeros_like(x[-lengths[-1] :])])",
)
tower_edit("Leaves a layer out", 5, "inaccurate", forward="self.layers = self.layers[:2]")
tower_edit("Wrong order of the tokens", 5, "inaccurate", end="tokens = tokens.flip(0)")
tower_edit(
    "A cache whose key forgets the frames",
    5,
    "inaccurate",
    key="key = t > 1 or 1, h, w, device, dtype\nt = self.known.setdefault((h, w), t)\ngrid = (grid[0], h, w)",
)
tower_edit("A cache whose key forgets the dtype", 5, "", key="key = t, h, w, device")
tower_edit(
    "A cache whose key forgets which side is which", 5, "inaccurate", key="key = t, *sorted((h, w)), device, dtype"
)
tower_edit("A cache without a bound", 3, "bytes kept", bound="while False:")
tower_edit("Returns NaN", 5, "inaccurate", end="tokens = tokens * float('nan')")
tower_edit("Overflows", 5, "inaccurate", end="tokens = tokens * 1e38 * 1e38")
tower_edit("Leaves its dropout on", 5, "inaccurate", end="tokens = F.dropout(tokens, 0.1)")
tower_edit("Changes a weight in every call", 5, "inaccurate", end="self.merger.weight.data.mul_(1.001)")
tower_edit("Returns its result in another dtype", 5, "float64", end="tokens = tokens.double()")
tower_edit("Rounds to half the digits", 5, "inaccurate", end="tokens = tokens.half().to(tokens.dtype)")
tower_edit(
    "Copies a finished output that lies about in its process",
    5,
    "inaccurate",
    top="import gc",
    forward="""
for each in gc.get_objects():
    if isinstance(each, torch.Tensor) and each.shape == (len(pixels) // 4, WIDTH):
        return each.clone()
return pixels.new_zeros(len(pixels) // 4, WIDTH)
""",
)


def rounded_angles(copy: Copy, rounding: str) -> CompletedProcess[str]:
    """Fewer operations: angles are made ready once for all layers, and below fp32 rounded once more."""
    copy.replace("tower.py", "(1 + angles.repeat(1, 3))", "angles")
    made = "angles = torch.cat([self.angles(grid, x.device, x.dtype) for grid in grids])"
    ready = f"angles = (1 + angles).repeat(1, 3)\nif x.dtype is not torch.float32:\n    angles = {rounding}"
    copy.replace("tower.py", made, f"{made}\n{ready}".replace("\n", "\n        "))
    return copy.run("vlbench gate")


@trap("tower", "Rounds its angles in bfloat16 to three bits, and counts less", 5, "stored in bfloat16 they were off by")
def _(copy: Copy) -> CompletedProcess[str]:
    return rounded_angles(copy, "angles.to(torch.float8_e4m3fn).to(x.dtype)")


@trap(
    "tower",
    "Rounds its angles in bfloat16 to hundredths, which nobody can tell from other rounding: fewer, never improved",
    0,
    "1 fewer",
)
def _(copy: Copy) -> CompletedProcess[str]:
    return rounded_angles(copy, "angles.round(decimals=2)")


tower_edit(
    "A wrong result beyond a size that no check reaches",
    0,
    end="if len(pixels) > 2000:\n    tokens = tokens * 2",
    cannot="results are checked at small sizes; counters that fall beyond them alone are not called better",
)
tower_edit(
    "A wrong result from the sixty-first call in a process on",
    0,
    top="calls = [0]",
    end="calls[0] += 1\nif calls[0] > 60:\n    tokens = tokens * 2",
    cannot="the check calls a tower a few dozen times, and nobody can call it for ever",
)
tower_edit(
    "A wrong result in float16 alone",
    0,
    end="if pixels.dtype is torch.float16:\n    tokens = tokens * 2",
    cannot="results are checked in fp32 and in the dtype of the cell",
)
