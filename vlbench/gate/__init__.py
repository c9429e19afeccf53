"""The gate: measures again what a stored baseline holds, has it judged, and proposes the file that would accept it."""
