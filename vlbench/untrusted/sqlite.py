"""An SQLite file that a person hands in: read as it lies there, its tables alone, in bounded time."""

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from vlbench.errors import UsageError
from vlbench.untrusted.files import Kind, size_of
from vlbench.untrusted.limits import MB, Limit

_STEPS_AT_ONCE = 10_000
_STEPS_OF_ANY = 10_000_000
_SECONDS_OF_ANY = 3.0
_PLAIN = re.compile("CREATE (TABLE|INDEX|UNIQUE INDEX) ")
"""How SQLite itself writes down what it made; the column `type` beside it is not what decides."""
_COMPUTED = re.compile(r"\bAS\s*\(", re.IGNORECASE)
"""In a column whose values are worked out whenever they are read."""


@contextmanager
def opened(path: Path, kind: Kind) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write, and sees text as it is: what is not UTF-8 gets replacement characters.

    Raises `UsageError` where it is no SQLite file, is damaged, holds views, triggers or virtual tables, which would run
    what their author wrote, or takes more steps or time than its size can explain: pages may lead to one another in
    circles. A count of all rows is one step that nothing ends, so add up rows in its place.
    """
    size = size_of(path, kind)
    left = _STEPS_OF_ANY + Limit.STEPS_PER_BYTE.most * size
    until = time.thread_time() + _SECONDS_OF_ANY + Limit.SECONDS_PER_MB.most * size / MB

    def is_too_much() -> bool:
        nonlocal left
        left -= _STEPS_AT_ONCE
        return left < 0 or time.thread_time() > until

    connection = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1", uri=True)
    try:
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, Limit.TEXT.most)
        connection.set_progress_handler(is_too_much, _STEPS_AT_ONCE)
        connection.execute("PRAGMA trusted_schema = OFF")
        for name, sql in connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"):
            if not _PLAIN.match(str(sql)) or _COMPUTED.search(str(sql)):
                raise UsageError(f"{path}: {name!r:.40} is no plain table, as the tool writes them; {kind.remedy}")
        yield connection
    except sqlite3.Error as error:
        too_much = left < 0 or time.thread_time() > until
        why = "it takes more steps or time than its size explains" if too_much else str(error)
        raise UsageError(kind.say(kind.unreadable, path, why)) from None
    finally:
        connection.close()
