"""Holds bytes for the process that started it, out of its reach; each deposit is given back once.

It is run as a file (`python -I -S holder.py`) and imports nothing heavy, so that it starts in 10 ms. A request on stdin
is HEAD: KEEP with a size, which so many bytes follow, or GIVE with a number. The answer on stdout is a NUMBER: that of
the deposit, or a size with as many bytes. The end of stdin, or a request for what is not there, ends the process.
"""

import struct
import sys

HEAD = struct.Struct("<cQ")
NUMBER = struct.Struct("<Q")
KEEP, GIVE = b"K", b"G"


def hold() -> None:
    """Do what is asked until stdin ends."""
    heard, said = sys.stdin.buffer, sys.stdout.buffer
    held: dict[int, bytes] = {}
    number = 0
    while head := heard.read(HEAD.size):
        does, figure = HEAD.unpack(head)
        if does == KEEP:
            held[number], answer = heard.read(figure), b""
            said.write(NUMBER.pack(number))
            number += 1
        else:
            answer = held.pop(figure)
            said.write(NUMBER.pack(len(answer)))
        said.write(answer)
        said.flush()


if __name__ == "__main__":
    hold()
