"""A patch judged: one verdict, one reason and a reward."""
