"""A tower on more than one device: whole images shared out over ranks, beside what splitting the tower would ask."""
