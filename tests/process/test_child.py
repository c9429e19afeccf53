"""Small children in place of the real ones: what a parent hears of each, and that none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import psutil
import pytest
from pydantic import Field, TypeAdapter

from tests.revisions.environments import copy_of_start
from vlbench.errors import UsageError
from vlbench.process.child import Child, ChildError, portable_environment
from vlbench.process.interpreter import Interpreter
from vlbench.process.messages import Message, Refused
from vlbench.version import FOLDER

ROOT = Path(__file__).parents[2]
SCRIPT = """
import os, signal, sys, time
from tests.process.test_child import Ask, Ended, Said
from vlbench.errors import UsageError
from vlbench.process.parent import serve

def work(parent):
    for ask in parent.hear(Ask):
        parent.mark(ask.text)
        {does}

serve(work)
"""


class Ask(Message):
    text: str


class Said(Message):
    event: Literal["said"] = "said"
    text: str


class Ended(Message):
    event: Literal["ended"] = "ended"


One = Said | Ended | Refused
EVENTS: TypeAdapter[One] = TypeAdapter(Annotated[One, Field(discriminator="event")])
Start = Callable[..., Child[One]]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts a child that does this with whatever it is asked."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "scripts"), str(ROOT)]))
    (tmp_path / "scripts").mkdir()

    def started(does: str, timeout: float = 60, **fields: object) -> Child[One]:
        (tmp_path / "scripts/a_child.py").write_text(SCRIPT.format(does=does.replace("\n", "\n        ")))
        return Child("a_child", EVENTS, timeout, **fields)  # type: ignore[arg-type]

    return started


def heard(child: Child[One], text: str) -> list[One]:
    with child:
        child.tell(Ask(text=text))
        return list(child.until(Ended))


def ending_of(child: Child[One]) -> ChildError:
    with pytest.raises(ChildError) as caught:
        heard(child, "a task")
    assert "\n" not in caught.value.reason
    return caught.value


def test_it_answers_as_often_as_it_is_asked(start: Start) -> None:
    with start("parent.say(Said(text=ask.text))") as child:
        for text in ("one", "tw\no", "\N{SNOWMAN}"):
            child.tell(Ask(text=text))
            assert child.hear() == Said(text=text)


def test_it_is_done_when_it_says_so_and_ends_well(start: Start) -> None:
    child = start("print('noise'); parent.say(Said(text='')); parent.say(Ended()); break")
    assert heard(child, "") == [Said(text=""), Ended()]


def test_a_refusal_is_the_users_to_mend(start: Start) -> None:
    with pytest.raises(UsageError, match="no such thing; name another"):
        heard(start("raise UsageError(ask.text)"), "no such thing; name another")


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        ("os.write(2, b'\\xff\\n'); os.abort()", "its process was ended by SIGABRT"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "its process was ended by SIGKILL (out of memory?)"),
        ("os.kill(os.getpid(), 40)", "its process was ended by signal 40"),
        ("raise RuntimeError('out of\\nluck')", "its process ended with code 1: luck"),
        ("os._exit(0)", "its process ended with code 0: no message"),
        ('parent._channel.write(\'{"event":"sa\'); parent._channel.flush(); os._exit(3)', "ended with code 3"),
        ("parent._channel.write('\\x1b[2J\\n'); time.sleep(60)", "it said what is no message: b'\\x1b[2J\\n'"),
        ("parent.say(Ended()); parent._channel.close(); sys.stderr.write('oh'); os._exit(4)", "ended with code 4: oh"),
    ],
)
def test_an_end_before_its_time_is_told_in_one_sentence(start: Start, does: str, reason: str) -> None:
    error = ending_of(start(does))
    assert error.called == "a task"
    assert not error.late
    assert reason in error.reason


@pytest.mark.parametrize(
    "last", ["os.remove(own + '/marker')", "shutil.rmtree(own)", "shutil.rmtree(own); os.symlink('nowhere', own)"]
)
def test_one_that_removes_or_replaces_its_own_folder_ends_as_any_other(
    start: Start, last: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    error = ending_of(start(f"import shutil; own = os.environ['VLBENCH_CHILD_FOLDER']; {last}; os._exit(1)"))
    assert (error.called, error.reason) == ("a task", "its process ended with code 1: no message")


def test_a_child_that_hangs_is_ended(start: Start) -> None:
    error = ending_of(start("time.sleep(60)", timeout=0.01, name="HEAD"))
    assert (error.called, error.reason, error.late) == ("HEAD", "no end after 0 s", True)


def test_a_call_that_does_not_end_is_to_blame_and_many_short_ones_are_not(start: Start) -> None:
    does = "for _ in range(6): time.sleep(0.15); parent.mark('short')\nparent.mark('endless'); time.sleep(60)"
    error = ending_of(start(does, call_limit=0.5))
    assert (error.called, error.reason, error.late) == ("endless", "one call did not end within 0 s", False)


def test_it_ends_by_itself_when_its_time_is_over_though_it_hangs_in_c(start: Start) -> None:
    does = "parent.end_at(time.monotonic() + 0.2)\nimport ctypes; ctypes.PyDLL(None).sleep(60)  # which keeps the GIL"
    error = ending_of(start(does))
    assert (error.called, error.late) == ("a task", True)
    assert 0.1 < error.seconds < 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_to_all_of_a_group_are_the_parents_to_act_on(start: Start, number: int) -> None:
    with start("parent.say(Said(text=str(os.getpid())))") as child:
        child.tell(Ask(text=""))
        said = child.hear()
        assert isinstance(said, Said)
        os.kill(int(said.text), number)
        child.tell(Ask(text=""))
        assert child.hear() == said


def test_it_ends_with_its_parent_while_it_is_still_importing(start: Start, tmp_path: Path) -> None:
    start("").__exit__()
    slow = f"import os, time\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)\n"
    (tmp_path / "scripts/a_child.py").write_text(slow)
    parent = "from tests.process.test_child import *\nwith Child('a_child', EVENTS, 60) as child: child.hear()"
    with subprocess.Popen([sys.executable, "-c", parent]) as process:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            time.sleep(0.01)
        process.kill()
    child = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 4
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "it lives on"
        time.sleep(0.01)


def test_whoever_stops_listening_ends_it(start: Start) -> None:
    with start("parent.say(Said(text=str(os.getpid())))\ntime.sleep(60)") as child:
        child.tell(Ask(text=""))
        events = child.until(Ended)
        said = next(events)
        assert isinstance(said, Said)
        assert psutil.pid_exists(int(said.text))
    assert not psutil.pid_exists(int(said.text))


@pytest.mark.parametrize(
    ("number", "told"), [(signal.SIGKILL, True), (signal.SIGKILL, False), (signal.SIGTERM, True), (signal.SIGHUP, True)]
)
def test_it_ends_with_its_parent_however_that_ends(start: Start, tmp_path: Path, number: int, told: bool) -> None:
    """Where the system tells it, though somebody holds its pipe; and by the pipe alone where it is not told."""
    if told and sys.platform != "linux":
        pytest.skip("only Linux tells")
    start("parent.say(Said(text=str(os.getpid())))\ntime.sleep(60)").__exit__()
    if not told:
        script = tmp_path / "scripts/a_child.py"
        script.write_text("import ctypes\nctypes.CDLL(None).prctl(1, 0, 0, 0, 0)\n" + script.read_text())
    parent = (
        "from tests.process.test_child import *\n"
        "with Child('a_child', EVENTS, 60) as child:\n"
        "    child.tell(Ask(text=''))\n"
        "    print(child.hear().text, flush=True)\n"
        f"    if not {told} or os.fork():\n"
        "        child.hear()\n"
        "    time.sleep(8)\n"
        "    os._exit(0)\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        assert psutil.pid_exists(child)
        process.send_signal(number)
    for _ in range(400):
        if not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.01)
    raise AssertionError("it lives on")


def test_one_of_another_python_says_first_which_vlbench_it_runs(start: Start, tmp_path: Path) -> None:
    ours, other = tmp_path / "ours", copy_of_start(tmp_path / "other")
    (ours / "vlbench").parent.mkdir()
    (ours / "vlbench").symlink_to(FOLDER, target_is_directory=True)
    does = "parent.say(Said(text='')); parent.say(Ended()); break"
    mine, others = (Interpreter(Path(sys.executable), each) for each in (ours, other))
    assert heard(start(does, python=mine), "") == [Said(text=""), Ended()]
    with pytest.raises(
        UsageError, match=f"^{sys.executable}: it imports vlbench from {other}/vlbench/__init__.py, not from {FOLDER}; "
    ):
        heard(start(does, python=others), "")
    (other / "vlbench/process/start.py").write_text('print(\'{"event":"said","text":""}\')')
    with pytest.raises(UsageError) as refused:
        heard(start(does, python=others), "")
    assert str(refused.value) == (
        f'{sys.executable}: it was asked which vlbench it runs, and said \'{{"event":"said","text":""}}\'; name an '
        "interpreter that runs what it is given, and prints nothing of its own"
    )


def test_a_refusal_of_another_python_names_it(start: Start) -> None:
    does = "raise UsageError('no such thing')"
    with pytest.raises(UsageError, match=f"^{sys.executable}: no such thing$"):
        heard(start(does, python=Interpreter(Path(sys.executable), ROOT)), "")


def test_a_stray_module_of_its_folder_is_not_imported(start: Start, tmp_path: Path) -> None:
    (tmp_path / "typing_extensions.py").write_text("raise SystemExit('a stray module')\n")
    with start("parent.say(Said(text=os.getcwd()))", folder=tmp_path) as child:
        child.tell(Ask(text=""))
        assert child.hear() == Said(text=str(tmp_path))


def test_folders_of_its_own_are_gone_with_it_and_so_is_what_it_did_not_put_away(start: Start) -> None:
    does = "from vlbench.process.scratch import Scratch\nkept = Scratch()\n"
    does += "os.mkdir(os.environ['SCRATCH'])\n"
    does += "for each in (os.environ['SCRATCH'], kept.name): parent.say(Said(text=each))\ntime.sleep(60)"
    with start(does, own_folders=("SCRATCH",)) as child:
        child.tell(Ask(text=""))
        said = [child.hear(), child.hear()]
        made = [Path(each.text) for each in said if isinstance(each, Said)]
        assert [each.is_dir() for each in made] == [True, True]
    assert not made[0].parent.exists()
    assert made[0].parent == made[1].parent


@pytest.mark.parametrize(("is_timed", "policy"), [(True, "None"), (False, "PASSIVE")])
def test_threads_of_one_that_is_not_timed_sleep_while_they_wait(start: Start, is_timed: bool, policy: str) -> None:
    does = 'parent.say(Said(text=str(os.environ.get("OMP_WAIT_POLICY"))))'
    with start(does, is_timed=is_timed) as child:
        child.tell(Ask(text=""))
        heard = child.hear()
    assert isinstance(heard, Said)
    assert heard.text == policy


def test_the_path_names_the_same_folders_from_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["lib", "/opt/lib", ""]))
    path = portable_environment()["PYTHONPATH"]
    assert path.split(os.pathsep) == [str(tmp_path / "lib"), "/opt/lib", str(tmp_path)]


def test_without_a_path_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for empty in (True, False):
        if empty:
            monkeypatch.setenv("PYTHONPATH", "")
        else:
            monkeypatch.delenv("PYTHONPATH")
        assert portable_environment() == dict(os.environ)
