"""What a request needs beside the tower: a file in this folder that decorates a way of a seam is found."""

from .. import optimized as optimized  # it finds these files, in the order in which flags are listed
