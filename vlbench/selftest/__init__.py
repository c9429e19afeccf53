"""Is the harness honest? Identical programs, known slow-downs, the rules of other tools, and the counts of alarms."""
