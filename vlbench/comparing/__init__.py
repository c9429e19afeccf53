"""Two sides become rows, and rows get verdicts.

`compared.compare` takes whatever vlbench knows. Baselines that were measured again and revisions beside each other take
their rows from here, too.
"""
