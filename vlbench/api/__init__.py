"""The Python API: one function for each main job, which raises where it cannot and never exits."""
