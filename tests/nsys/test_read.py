"""What cannot be read is refused with one sentence that names the file and the remedy."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
from pathlib import Path

import pytest

import vlbench.nsys
from vlbench.errors import UsageError

from .synthetic import Database


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.sqlite", b"", "is empty"),
        ("a.qdstrm", b"raw", "QdstrmImporter"),
        ("a.txt", b"hello", "neither an SQLite export"),
        ("a.sqlite", b"SQLite format 3\x00 and then rubbish" * 40, "cannot be read"),
    ],
)
def test_refused(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError, match=says) as error:
        vlbench.nsys.load(path)
    assert str(path) in str(error.value)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        vlbench.nsys.load(tmp_path / "a.sqlite")


def test_another_database(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.sqlite") as connection:
        connection.execute("CREATE TABLE notes (text)")
    connection.close()
    with pytest.raises(UsageError, match="none of the tables of an nsys export"):
        vlbench.nsys.load(tmp_path / "a.sqlite")


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    path = Database().save(tmp_path / "odd name? #1.db")
    assert vlbench.nsys.load(path).source == "nsys"


def test_a_report_without_nsys_names_the_command_for_the_sender(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tmp_path / "a.nsys-rep"
    report.write_bytes(b"report\0")
    monkeypatch.setenv("VLBENCH_NSYS", str(tmp_path / "none"))
    with pytest.raises(UsageError, match=r"run `nsys export --type=sqlite --lazy=false .* and send a\.sqlite"):
        vlbench.nsys.load(report)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\n", "a text, and no report of nsys; give an"),
        ("\ufeff\u00e9crit\r\n".encode() * 20_000, "a text, and no report of nsys; give an"),
        (b"PK\x03\x04\x14\x00\x00\x00\x08\x00" * 20, "a zip file, and no report of nsys; give an"),
        (b"{}", "JSON without a traceEvents list"),
        (b"\x1f\x8b\x08\x00 damaged", "the gzip file is damaged"),
        (b"SQLite format 3\x00 and then rubbish" * 40, "the SQLite file cannot be read"),
        (b"", "the file is empty"),
    ],
)
@pytest.mark.parametrize("suffix", [".nsys-rep", ".qdrep"])
def test_what_is_certainly_no_report_is_refused_before_nsys_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str, suffix: str
) -> None:
    """Also where an export lies beside it, which is of something else then."""
    nsys = tmp_path / "nsys"
    nsys.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
    nsys.chmod(nsys.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("VLBENCH_NSYS", str(nsys))
    report = tmp_path / f"a{suffix}"
    report.write_bytes(content)
    Database().save(tmp_path / "a.sqlite")
    with pytest.raises(UsageError) as error:
        vlbench.nsys.load(report)
    assert str(error.value).startswith(f"{report}: ")
    assert said in str(error.value)
    assert not (tmp_path / "ran").exists()


def test_a_report_is_exported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Database().save(tmp_path / "made.db")
    nsys = tmp_path / "nsys"
    nsys.write_text(
        f"#!{sys.executable}\nimport shutil, sys\n"
        f"open({str(tmp_path / 'log')!r}, 'a').write('export\\n')\n"
        f"shutil.copy({str(made)!r}, sys.argv[sys.argv.index('-o') + 1])\n"
    )
    nsys.chmod(nsys.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("VLBENCH_NSYS", str(nsys))
    report = tmp_path / "a.nsys-rep"
    report.write_bytes(b"report\0")
    os.utime(report, (1, 1))
    for _ in range(2):
        capture = vlbench.nsys.load(report)
        assert capture.path.endswith("a.sqlite")
        assert capture.notes == ("a.nsys-rep: read from its export a.sqlite",)
    assert (tmp_path / "log").read_text() == "export\n"


def test_a_failed_export_says_what_nsys_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nsys = tmp_path / "nsys"
    nsys.write_text("#!/bin/sh\necho 'made by a newer version' >&2\nexit 1\n")
    nsys.chmod(nsys.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("VLBENCH_NSYS", str(nsys))
    report = tmp_path / "a.nsys-rep"
    report.write_bytes(b"report\0")
    with pytest.raises(UsageError, match="made by a newer version"):
        vlbench.nsys.load(report)


def test_the_package_is_light_until_used() -> None:
    import subprocess

    program = (
        "import sys, vlbench.nsys, vlbench.cli.nsys; "
        "print([name for name in ('torch', 'pandas', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_public_names() -> None:
    for name in dir(vlbench.nsys):
        assert callable(getattr(vlbench.nsys, name))
    with pytest.raises(AttributeError, match="no attribute 'missing'"):
        vlbench.nsys.missing  # noqa: B018
