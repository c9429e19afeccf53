"""Sound files of ours that others may hand in, and how each is read: what tests/untrusted/test_mutants.py mutates.

What `tests/record/test_mutants.py` mutates is not among them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from tests.cli.test_plan import MATRIX
from tests.export.judged_examples import one_of_everything
from tests.export.test_predicted import prediction
from tests.kernel_times.boards import by_work, products, stored
from tests.matrix.planned import lines
from tests.record.test_mutants import drawn_place
from tests.record.test_preset_file import preset
from tests.surveying.toy import listed
from tests.traffic.test_trace import GOOD, HEAD
from tests.workload.test_cases import OWN
from vlbench.api import planning
from vlbench.api.reading import load
from vlbench.comparing.history import version_of
from vlbench.diverging import dump
from vlbench.errors import UsageError
from vlbench.gating.installs import installs
from vlbench.implementations.checkpoint_config import CheckpointError
from vlbench.implementations.checkpoint_preprocessing import read_preprocessing
from vlbench.implementations.config import MODELS
from vlbench.kernel_times.stored import read_board
from vlbench.patches.reading import check_patch
from vlbench.patches.reasons import JudgementError
from vlbench.record.atlas import Atlas, read_atlas
from vlbench.record.plan_file import plan_text, read_plan
from vlbench.record.preset_file import preset_text, read_preset
from vlbench.record.recommendation import FlagFound, Recommendation
from vlbench.surveying.listed import listed_package
from vlbench.untrusted.checkpoints import check_checkpoint
from vlbench.workload.cases import load_case
from vlbench.workload.recorded import recorded

Mutate = Callable[[bytes, random.Random], bytes]
Figures = Mapping[str, object]
NO_FIGURES: tuple[Any, ...] = (
    *(None, True, "", "x", "NaN", [], {}, [[]], float("nan"), float("inf"), "\ud800", "\x1b[2J"),
)
PATCH = b"diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1,2 @@\n first\n+second\n"
COLOURS = {"image_mean": [0.5, 0.5, 0.5], "size": {"shortest_edge": 3136, "longest_edge": 12845056}, "merge_size": 2}


def of_document(data: bytes, draw: random.Random) -> bytes:
    """One value of a JSON document dropped, wrapped, renamed, there twice, or no figure any more; no figure is new."""
    document = json.loads(data)
    holder, key = drawn_place(document, draw)
    value = holder[key]
    match draw.randrange(5):
        case 0:
            del holder[key]
        case 1:
            holder[key] = draw.choice(([value], {"value": value}, str(value)))
        case 2 if isinstance(holder, dict):
            holder[f"{key}2"] = holder.pop(key)
        case 3 if isinstance(value, list) and value:
            holder[key] = [*value, draw.choice(value)]
        case _:
            holder[key] = draw.choice(NO_FIGURES)
    return json.dumps(document).encode()


def of_json_lines(data: bytes, draw: random.Random) -> bytes:
    """The same of one line."""
    lines = data.splitlines()
    at = draw.randrange(len(lines))
    lines[at] = of_document(lines[at], draw)
    return b"\n".join(lines) + b"\n"


def of_header(data: bytes, draw: random.Random) -> bytes:
    """The same of what a .safetensors file says of its tensors."""
    size = int.from_bytes(data[:8], "little")
    header = of_document(data[8 : 8 + size], draw)
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def of_lines(data: bytes, draw: random.Random) -> bytes:
    """A line of a text gone or there twice, or one of its cells no figure any more."""
    lines = data.decode().split("\n")
    at = draw.randrange(len(lines))
    match draw.randrange(3):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[at])
        case _:
            cells = lines[at].split(",")
            cells[draw.randrange(len(cells))] = draw.choice(("", "x", "NaN", "inf", "1,", '"', "=1+1", "\x1b[2J"))
            lines[at] = ",".join(cells)
    return "\n".join(lines).encode()


@dataclass(frozen=True)
class Source:
    """A sound file, and how it is read."""

    name: str
    data: bytes
    reader: Callable[[Path], object]
    by_structure: Mutate = of_document
    kind: str = ""
    """Where in vlbench that is, whose limits the file is read with."""


def as_json(document: object) -> bytes:
    return json.dumps(document).encode()


def checkpoint(reader: Callable[[Path], object]) -> Callable[[Path], Figures]:
    """Reads the folder of a file, of which no figure is judged."""

    def read(path: Path) -> Figures:
        try:
            check_checkpoint(path.parent)
            reader(path)
        except CheckpointError as error:
            raise UsageError(str(error)) from None
        return {}

    return read


def _preset(path: Path) -> Figures:
    found = read_preset(path)
    return {"preset": found} if found.intact else {}  # an edited one is read, and called so


def _patch(path: Path) -> Figures:
    try:
        check_patch(path, path.parent)
    except JudgementError as refusal:
        raise UsageError(refusal.said) from None
    return {}


def _verdicts(path: Path) -> Figures:
    figures = version_of(path, "").figures
    return {" ".join(map(str, name)): each.value for name, each in figures.items()}


def _dump() -> bytes:
    stages = {f"block[{at}].mlp": torch.rand(4, 3) for at in range(2)}
    fed = {"pixels": torch.rand(16, 3), "grid_thw": torch.tensor([[1, 4, 4]]), "order": torch.arange(16)}
    return save({**stages, **fed, "block[0].segments": torch.zeros(16, dtype=torch.int64)}, {"weights": "a"})


def own_sources() -> dict[str, Source]:
    """A file of each kind."""
    atlas: dict[str, Any] = {"vlbench": "0", "package": "a", "version": "1", "torch": "2", "profile": "sm_90"}
    atlas |= {"cudnn": "9", "dtype": "bfloat16", "grids": [[1, 4, 4]], "left_out": {"b": "none"}}
    row = {"name": "a", "tower": "a:B", "config": "C", "ways": [{"grid": "device", "failed": "it raised"}]}
    recommended = Recommendation(
        preset=preset(), start="best", left_out=(), added=(), said=("so",), complete=True,
        flags=(FlagFound(flag="a", effect="helps", by="time", in_set=True),),
    )  # fmt: skip
    towers, fed = listed("one", "two").encode(), MODELS["qwen2.5-vl-tiny"].preprocessing
    judged = as_json(one_of_everything().model_dump(mode="json"))
    board = stored(products(lambda *sizes: 3.0 + by_work(*sizes))).with_checksum().model_dump_json().encode()
    whole = Atlas.model_validate_json(as_json(atlas | {"rows": [row]})).with_checksum().model_dump_json().encode()
    plan, calls = plan_text(lines(2)).encode(), (HEAD + GOOD * 3).encode()
    told = prediction().model_dump_json().encode()
    return {
        "atlas": Source("a.json", whole, lambda path: {"": read_atlas(path)}, kind="record/atlas.ATLAS"),
        "board": Source("a.json", board, lambda path: {"": read_board(path)}, kind="kernel_times/stored.BOARD"),
        "calls": Source("a.jsonl", calls, recorded, of_json_lines, "traffic/trace.TRACE"),
        "case": Source("a.toml", OWN.encode(), lambda path: load_case(str(path)), of_lines, "workload/cases.CASE"),
        "dump": Source("float32.safetensors", _dump(), lambda path: dump.read(path.parent), of_header),
        "installed": Source(
            "pyproject.toml",
            b"[project]\nname = 'a'\n",
            lambda path: installs(path.parent, path.parent),
            of_lines,
            "gating/installs.PROJECT",
        ),
        "matrix": Source("a.toml", MATRIX.encode(), planning._read_matrix, of_lines, "record/plan_file.MATRIX"),
        "patch": Source("a.patch", PATCH, _patch, of_lines, "patches/reading.PATCH"),
        "plan": Source("a.jsonl", plan, lambda path: {"": read_plan(path)}, of_json_lines, "record/plan_file.PLAN"),
        "prediction": Source("a.json", told, lambda path: {"": load(path).record}, kind="record/files.OURS"),
        "preprocessor": Source(
            "preprocessor_config.json", as_json(COLOURS), checkpoint(lambda path: read_preprocessing(path.parent, fed))
        ),
        "preset": Source("a.toml", preset_text(preset()).encode(), _preset, of_lines, "record/preset_file.PRESET"),
        "recommendation": Source("a.json", recommended.model_dump_json().encode(), load),
        "towers": Source(
            "a.toml", towers, lambda path: listed_package("toy_towers", path), of_lines, "record/atlas.LISTED"
        ),
        "verdicts": Source("a.json", judged, _verdicts, kind="comparing/contents.OURS"),
    }
