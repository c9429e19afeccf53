"""How large what a person hands in may be: the one table, from which docs/limits.md is made."""

from enum import Enum

from vlbench.errors import UsageError

KB, MB, GB = 1 << 10, 1 << 20, 1 << 30


class Limit(Enum):
    """Each is (most, of what). They are far above honest use, and bound the time and memory that a small file costs."""

    SCENARIO = (32 * KB, "bytes of a scenario, or of the distribution of a mix")
    SETTINGS = (MB, "bytes of the settings of pytest")
    POINTS = (200, "points of a scenario's sweeps")
    ITEMS = (65_536, "pictures and videos of one point of a scenario")
    PATCHES = (4_194_304, "patches of one point of a scenario")
    FRAMES = (4_096, "frames of a video")
    TRACE = (2 * GB, "bytes of a file of recorded calls")
    CALL = (MB, "bytes of one of its lines")
    REQUESTS = (100_000, "requests of a mix")
    TOKENS = (1_000_000, "tokens of a picture in a distribution")
    PICTURE = (256 * MB, "bytes of a picture")
    PIXELS = (50_000_000, "pixels of a picture that is opened")
    ALL_PIXELS = (200_000_000, "pixels of all pictures of --images together")
    PIXELS_PER_BYTE = (100, "pixels for each byte of a picture, or of all of them, beyond 16 million pixels")
    SCANS = (100, "scans of a JPEG, over each of which its decoder goes through all pixels")
    DOCUMENT = (64 * MB, "bytes of results, a journal, a baseline, a calibration, a count or another tool's file")
    VALUES = (1_000_000, "values in one of ours, or in another tool's text or table")
    FOREIGN_VALUES = (5_000_000, "values in another tool's JSON")
    PASTED = (100_000, "lines of text that is pasted, such as a log around what a tool prints")
    METRICS = (10_000, "metrics of another tool's runs that are judged at once")
    CAPTURE = (2 * GB, "bytes of a profiler's JSON trace, unpacked")
    CAPTURE_VALUES = (100_000_000, "values in such a trace")
    UNPACKED = (50, "times its packed size that a .gz may unpack to beyond 4 MiB")
    STEPS_PER_BYTE = (20, "steps of SQLite per byte of a capture, beyond 10 million")
    SECONDS_PER_MB = (1, "seconds of computing to read each MiB of an SQLite capture, beyond three")
    TEXT = (16 * MB, "bytes of one text or blob in SQLite")
    DATABASE = (64 * GB, "bytes of an SQLite capture")
    WEIGHTS = (1024 * GB, "bytes of a .safetensors file")
    INDEX = (16 * MB, "bytes of a checkpoint's config.json or index, or of the header of a .safetensors file")
    DEPTH = (64, "levels of JSON or TOML inside each other")
    DIGITS = (20, "digits of an integer")
    LINE = (4_096, "characters of a name, or of a line of another tool's text")

    def __init__(self, most: int, what: str) -> None:
        self.most = most
        """The largest count that is taken."""
        self.what = what
        """What is counted."""

    def check(self, count: int, name: str, remedy: str) -> None:
        """Raise `UsageError`, which names the file or field `name` and the remedy, where `count` is too large."""
        if count > self.most:
            raise UsageError(
                f"{name} is above the limit of {self.most:,} {self.what}; {remedy} (docs/limits.md has all limits)"
            )


def limit_table() -> str:
    """Every limit as a Markdown table."""
    return "\n".join(["| at most | of what |", "|--:|---|", *(f"| {each.most:,} | {each.what} |" for each in Limit)])
