"""The reader of files that are handed in, at the edges of its limits."""

from __future__ import annotations

import gzip
import random
import time
from pathlib import Path

import pytest

from vlbench.errors import UsageError
from vlbench.untrusted.files import Kind, parse_json, read_toml, unpacked
from vlbench.untrusted.limits import MB, Limit
from vlbench.workload.library import SCENARIO

ANY = Kind("write it again")
OURS = Kind("write it again", ours=True)
DEEP = Limit.DEPTH.most


@pytest.mark.parametrize("text", [r"\\", r"\\\\", r"\"\\", r"a\\"], ids=ascii)
def test_brackets_behind_a_text_that_ends_with_a_backslash_count(text: str) -> None:
    nested = "[" * DEEP + "]" * DEEP
    with pytest.raises(UsageError, match="above the limit"):
        parse_json(f'["{text}", {nested}]', "a.json", ANY)


@pytest.mark.parametrize("text", [r"\"", r"\\\"", r"\\\\\""], ids=ascii)
def test_brackets_inside_of_a_text_do_not_count(text: str) -> None:
    found = parse_json(f'["{text}{"[" * 2 * DEEP}"]', "a.json", ANY)
    assert found[0].endswith("[" * 2 * DEEP)


def test_an_integer_of_toml_has_64_bits(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(f"a = {2**64 - 1}\nb = [{-(2**64) + 1}]\n")
    assert read_toml(path, SCENARIO) == {"a": 2**64 - 1, "b": [-(2**64) + 1]}
    for text in (f"a = {2**64}", f"a = [{{b = {-(2**64)}}}]"):
        path.write_text(text)
        with pytest.raises(UsageError, match="an integer is above the limit of 20 digits"):
            read_toml(path, SCENARIO)


def test_what_unpacks_to_more_than_its_size_allows_is_refused() -> None:
    assert unpacked(gzip.compress(b"a" * 4 * MB), "a.gz", 100 * MB) == b"a" * 4 * MB
    with pytest.raises(UsageError, match=f"unpacks to more than {4 * MB:,} bytes"):
        unpacked(gzip.compress(b"a" * (4 * MB + 1)), "a.gz", 100 * MB)
    own = gzip.compress(random.Random(0).randbytes(MB // 2), 0) + gzip.compress(b"a" * 5 * MB)
    assert len(unpacked(own, "a.gz", 100 * MB)) == MB // 2 + 5 * MB
    with pytest.raises(UsageError, match=f"unpacks to more than {Limit.UNPACKED.most * len(own):,} bytes"):
        unpacked(own + gzip.compress(b"a" * Limit.UNPACKED.most * MB), "a.gz", Limit.UNPACKED.most * len(own))
    with pytest.raises(UsageError, match=f"unpacks to more than {2 * MB:,} bytes"):
        unpacked(gzip.compress(b"a" * 3 * MB), "a.gz", 2 * MB)


def test_a_gzip_file_of_many_small_parts_is_read_at_once() -> None:
    part = gzip.compress(b"ab", mtime=0)
    begun = time.process_time()
    assert unpacked((part + b"\0\0") * 40_000, "a.gz", 10 * MB) == b"ab" * 40_000
    assert time.process_time() - begun < 3
    for cut in (part[:-1], part + part[:5]):
        with pytest.raises(UsageError, match=r"a\.gz: the gzip file is damaged \(it ends too early\)"):
            unpacked(cut, "a.gz", MB)
    with pytest.raises(UsageError, match=r"a\.gz: the gzip file is damaged"):
        unpacked(part + b"more", "a.gz", MB)


def test_a_key_twice_is_refused_in_any_file_and_what_is_no_number_in_ours() -> None:
    with pytest.raises(UsageError, match=r"^a\.json: the key 'a' is there twice"):
        parse_json('{"a": 1, "a": 2}', "a.json", ANY)
    with pytest.raises(UsageError, match=r"^a\.json: the key 'a' is there twice"):
        parse_json('{"b": {"a": 1, "a": 1}}', "a.json", OURS)
    with pytest.raises(UsageError, match=r"^a\.json: -Infinity is no number of JSON"):
        parse_json("[-Infinity]", "a.json", OURS)
