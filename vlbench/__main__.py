"""`python -m vlbench`."""

import sys

from vlbench.cli import main
from vlbench.nsys.child import watch

sys.exit(watch(main))
