"""Is the harness honest? Identical programs, known slow-downs, and the rules of other tools."""
