"""`python -m vlbench`."""

from vlbench.cli import main

main()
