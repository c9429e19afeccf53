"""The floor that decides: it turns measured numbers into a verdict, a reason and an exit code.

It works on plain numbers. Nothing here measures, and nothing here knows what was measured.
"""
