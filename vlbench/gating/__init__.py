"""The gate: what was accepted, measured again."""
