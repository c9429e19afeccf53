"""The gate: what was accepted, measured again. Imports nothing heavy, as the command line asks before anything else."""

from enum import StrEnum


class Times(StrEnum):
    """What a gate does about stored times."""

    AUTO = "auto"
    """Judge them on the class of machine that they were stored on; elsewhere check accuracy alone."""
    REQUIRE = "require"
    """Judge them, and fail on another class of machine."""
    ADVISORY = "advisory"
    """Measure and show them where `auto` would judge them, and let accuracy alone decide."""
    NEVER = "never"
    """Leave them out."""
