"""A checkpoint's folder, looked over before anything reads it: regular files of sane sizes, all inside of it."""

import os
from pathlib import Path

from vlbench.errors import UsageError
from vlbench.untrusted.files import Kind, read_json, size_of
from vlbench.untrusted.limits import Limit

DOCUMENT = Kind("download it again", Limit.INDEX)
DOCUMENTS = (
    "config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "model.safetensors.index.json",
)
_SIZE = 8
"""Bytes of a .safetensors file that hold the size of its header."""


def check_checkpoint(folder: Path) -> None:
    """Raise `UsageError` where a file of a checkpoint is no regular one, or claims what no checkpoint holds.

    What it holds, and whether it is the model's, `load_checkpoint` says.
    """
    for document in (folder / name for name in DOCUMENTS):
        if os.path.lexists(document):  # also a link that leads nowhere
            content = read_json(document, DOCUMENT)
            shards = content.get("weight_map") if isinstance(content, dict) else None
            for name in shards.values() if isinstance(shards, dict) else ():
                if isinstance(name, str) and os.path.basename(name) != name:
                    raise UsageError(f"{document}: {name!r:.80} is no file of the folder itself; {DOCUMENT.remedy}")
    for file in sorted(folder.glob("*.safetensors")):
        size_of(file, Kind(DOCUMENT.remedy, Limit.WEIGHTS))
        with file.open("rb") as weights:
            header = int.from_bytes(weights.read(_SIZE), "little")
        Limit.INDEX.check(header, f"{file}: the header", DOCUMENT.remedy)
