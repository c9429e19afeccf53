"""What a request needs beside the tower: a file in this folder that decorates a way of a seam is found."""
