"""What a folder holds, so that it can be told afterwards whether that changed."""

from contextlib import suppress
from hashlib import sha256
from pathlib import Path

LINK, EMPTY = "link", "empty folder"


def listing(folder: Path) -> dict[str, str]:
    """Every file below a folder by its path there: a digest of what it holds, and of what is none, what it is."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = LINK + str(path.readlink())
        elif path.is_dir():
            found |= {} if any(path.iterdir()) else {name: EMPTY}
        else:
            with suppress(FileNotFoundError):  # a compiled module that is being replaced
                found[name] = sha256(path.read_bytes()).hexdigest()
    return found
