"""Fixtures of other rooms that are used here, too."""

from tests.nsys.conftest import public_captures as public_captures
