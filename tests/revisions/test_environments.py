"""What interpreters are asked, and who is refused; `tests/cli/test_ab.py` compares two that are there."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from tests.revisions.environments import copy_of_start, empty, program
from vlbench.api import side_by_side
from vlbench.errors import UsageError
from vlbench.judging.judged import Judged
from vlbench.process.child import Child
from vlbench.process.interpreter import Interpreter
from vlbench.record.files import read_results
from vlbench.record.fingerprint import take_fingerprint
from vlbench.revisions import environments
from vlbench.revisions.compare import Compared
from vlbench.revisions.environments import Environment, EnvironmentPair, asked
from vlbench.revisions.messages import SAID
from vlbench.revisions.request import Way
from vlbench.version import FOLDER

VERSIONS = {"Python": "3.12.1", "torch": "2.13.0", "transformers": "5.23.0", "numpy": "2.4.6"}

DEPENDENCIES = {
    *("einops", "jinja2", "numpy", "nvtx", "pandas", "PIL", "psutil", "pydantic"),
    *("pyinstrument", "pynvml", "rich", "safetensors", "scipy", "torch", "typer"),
}
"""Of vlbench, as modules."""


CODE = str(FOLDER.resolve() / "__init__.py")
GOOD = {"code": CODE, "lacks": [], "gpu": False, "versions": {"torch": "2.13.0", "vllm": "0.33.0"}}


def answers(**told: object) -> list[str]:
    """A program that says this."""
    return ['echo "$2"3.12.1', f"""echo "$2"'{json.dumps({"code": CODE, "lacks": [], "versions": {}} | told)}'"""]


def refusal(python: Path | str, seconds: float = 60, device: str = "cpu") -> str:
    with pytest.raises(UsageError) as caught, asked([str(python), str(python)], None, seconds, device):
        pass
    told = str(caught.value)
    assert told.startswith(f"--python {python}: ")
    assert "\n" not in told
    return told.removeprefix(f"--python {python}: ")


def environment(**versions: str) -> Environment:
    return Environment("python", Interpreter(Path("/python"), Path("/code")), VERSIONS | versions, gpu=False)


def test_what_is_no_program_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    assert refusal(tmp_path) == f"it is a folder; name the interpreter in it, such as {tmp_path}/bin/python"
    with pytest.raises(UsageError, match="there is no such file and no program of that name"):
        environments._found("x" * 300)
    assert refusal("no-such-python").startswith("there is no such file and no program of that name")
    assert refusal(tmp_path / "notes.txt").startswith("it is no program, which has to be executable")


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["echo hello"], "it does not answer as a Python does (its process ended with code 0: no message); name an"),
        (["echo broken >&2", "exit 3"], "it does not answer as a Python does (its process ended with code 3: broken)"),
        (["kill -9 $$"], "it does not answer as a Python does (its process was ended by SIGKILL"),
        (['echo "$2"3.10.13'], "it is Python 3.10.13, and vlbench needs 3.11; make its environment anew"),
        (['echo "$2"3.11.7', "exit 1"], "it ended while it imported what vlbench needs: its process ended with code 1"),
        (answers(failed="ImportError: no symbol"), "vlbench cannot be imported there: ImportError: no symbol; install"),
        ([*answers(**GOOD), "exit 1"], "it answered, and then its process ended with code 1: no message; mend it"),
        ([*answers(**GOOD), "kill -40 $$"], "it answered, and then its process was ended by signal 40; mend it"),
        (
            answers(**GOOD | {"code": "/other/vlbench/__init__.py"}),
            "both sides have to run the same vlbench, and it imports vlbench from /other/vlbench/__init__.py, not",
        ),
        (
            answers(**GOOD | {"code": None}),
            "both sides have to run the same vlbench, and it imports vlbench from nowhere, not from ",
        ),
        (["cat /dev/zero"], "it does not answer as a Python does; name an interpreter"),
    ],
    ids=["not Python", "fails", "killed", "too old", "dies", "broken", "ends 1", "ends 40", "other", "none", "endless"],
)
def test_who_does_not_answer_as_a_python_that_can_run_vlbench_is_refused(
    tmp_path: Path, lines: list[str], sentence: str
) -> None:
    assert refusal(program(tmp_path / "python", *lines)).startswith(sentence)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("[]", "is not what vlbench asks for ("),
        ("1", "is not what vlbench asks for ("),
        ('"x"', "is not what vlbench asks for ("),
        ("{}", "is not what vlbench asks for ("),
        ("{", ": not JSON ("),
        ("[" * 5000, "is above the limit of 64 levels"),
        ('{"gpu": %s}' % ("9" * 5000), "is above the limit of 20 digits"),
        ('{"gpu": NaN}', "NaN is no number of JSON"),
        ({"gpu": None}, "it does not say which torch it has"),
        ({"gpu": "yes"}, "gpu: Input should be a valid boolean"),
        ({"versions": []}, "versions: Input should be"),
        ({"versions": {}}, "it does not say which torch it has"),
        ({"versions": {"torch": None}}, "versions.torch: Input should be a valid string"),
        ({"versions": {"torch": "1" * 5000}}, "versions.torch: String should match"),
        ({"versions": {"torch": "1", "other": "2"}}, "nobody asked for 'other'"),
        ({"lacks": ["numpie"]}, "nobody asked for 'numpie'"),
        ({"failed": "x" * 5000}, "failed: String should have at most"),
    ],
)
def test_what_is_no_answer_to_what_was_asked_is_one_sentence(
    tmp_path: Path, said: str | dict[str, object], sentence: str
) -> None:
    answer = said if isinstance(said, str) else json.dumps(GOOD | said)
    told = refusal(program(tmp_path / "python", 'echo "$2"3.12.1', f"""echo "$2"'{answer}'"""))
    assert told.startswith("its answer")
    assert sentence in told
    assert len(told) < 300


@pytest.mark.slow(4)
def test_a_wrapper_that_leads_to_another_vlbench_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other" / "vlbench"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("")
    python = program(tmp_path / "python", f'PYTHONPATH={other.parent} exec {sys.executable} "$@"')
    assert refusal(python).startswith(
        f"both sides have to run the same vlbench, and it imports vlbench from {other}/__init__.py, not from "
    )


@pytest.mark.parametrize("worker", environments.WORKERS)
def test_a_wrapper_that_leads_only_those_who_measure_to_another_vlbench_is_refused(tmp_path: Path, worker: str) -> None:
    other = copy_of_start(tmp_path / "other")
    answer = " && ".join(answers(**GOOD))
    python = program(tmp_path / "python", f'PYTHONPATH={other} exec {sys.executable} "$@"')
    python = program(tmp_path / "wrapper", f'case "$*" in *answer.py*) {answer};; *) exec {python} "$@";; esac')
    with (
        asked([str(python), str(python)], None, 60, "cpu") as pair,
        Child(worker, SAID, 60, python=pair.base.interpreter) as child,
        pytest.raises(UsageError) as caught,
    ):
        child.hear()
    assert str(caught.value).startswith(f"{python}: it imports vlbench from {other}/vlbench/__init__.py, not from")


def test_who_never_answers_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    python = program(tmp_path / "python", f"echo $$ > {tmp_path}/pid", "sleep 1000 & wait")
    start = time.monotonic()
    assert refusal(python, seconds=0.3) == "no answer within 0 s; look what it waits for"
    assert time.monotonic() - start < 10
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_what_an_interpreter_leaves_behind_ends_with_its_answer(tmp_path: Path) -> None:
    python = program(tmp_path / "python", f"sleep 987 & echo $! > {tmp_path}/pid", *answers(**GOOD))
    with asked([str(python), str(python)], None, 60, "cpu"):
        assert gone(tmp_path / "pid")


@pytest.mark.slow(2)
def test_who_is_asked_ends_with_us_however_we_end(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    python = program(tmp_path / "python", f"sleep 987 & echo $! > {pid}.draft; mv {pid}.draft {pid}; wait")
    code = f"from vlbench.revisions.environments import asked\nwith asked([{str(python)!r}] * 2, None, 60, 'cpu'): pass"
    with subprocess.Popen([sys.executable, "-c", code]) as asking:
        until = time.monotonic() + 60
        while not pid.exists():
            assert time.monotonic() < until
            time.sleep(0.01)
        asking.kill()
    assert gone(pid)


def gone(file: Path) -> bool:
    """Does the process whose id a file holds end within seconds?"""
    until = time.monotonic() + 10
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(int(file.read_text()))
        while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < until:
            time.sleep(0.01)
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def test_an_environment_without_torch_is_told_what_to_install(tmp_path: Path) -> None:
    python = empty(tmp_path / "venv")
    lacks = "torch numpy pydantic einops nvtx safetensors nvidia-ml-py"
    assert refusal(python) == f"it lacks what vlbench needs there; `{python} -m pip install {lacks}`"


def test_a_python_that_is_too_old_can_read_what_it_is_asked() -> None:
    ast.parse((FOLDER / environments.ANSWER).read_text(), feature_version=(3, 5))


def test_what_an_interpreter_answers_is_what_its_side_has(tmp_path: Path) -> None:
    python = program(tmp_path / "python", *answers(**GOOD))
    with asked([str(python), str(python)], "a:b", 60, "cpu") as pair:
        assert pair.base.words == f"{python} (Python 3.12.1, torch 2.13.0, vllm 0.33.0)"
        assert pair.head.words == f"{pair.base.words}, a:b"
        assert [str(each) for each in pair.towers("c:d")] == ["c:d", "a:b"]
        (code,) = (each for each in pair.base.interpreter.code.iterdir() if each.is_symlink())
        assert (code.name, code.resolve()) == ("vlbench", FOLDER.resolve())
    assert not code.exists()
    assert FOLDER.exists()
    assert refusal(python, device="cuda").startswith("its torch 2.13.0 sees no GPU; install one for CUDA there, or")


@pytest.mark.slow(6)
def test_this_interpreter_can_do_it_and_needs_what_is_said() -> None:
    with asked([sys.executable, sys.executable], None, 100, "cpu") as pair:
        assert pair.base.versions["Python"] == "{}.{}.{}".format(*sys.version_info)
        assert pair.base.versions["torch"] == torch.__version__
    code = f"import sys, {', '.join(environments.WORKERS)}; print(*{{each.partition('.')[0] for each in sys.modules}})"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {*imported} & DEPENDENCIES == environments.NEEDED.keys()


def test_what_differs_is_told() -> None:
    pair = EnvironmentPair(environment(), environment(torch="2.12.0", vllm="0.33.0"))
    assert pair.base.words == "python (Python 3.12.1, torch 2.13.0, transformers 5.23.0)"
    assert pair.notes == [
        "the environments differ in torch 2.13.0 -> 2.12.0, vllm none -> 0.33.0; both have the same Python, "
        "transformers, numpy"
    ]
    assert EnvironmentPair(environment(), environment()).notes[0].startswith("no version differs; both have the same")
    assert pair.way("qwen2.5-vl-tiny") is Way.LOCK_STEP


def test_samples_come_from_the_packages_of_base() -> None:
    here = take_fingerprint("cpu").model_copy(update={"cudnn": "9.19.0"})
    base = environment(torch="2.1.0", vllm="0.33.0")
    found = EnvironmentPair(base, environment()).came_from(here)
    assert (found.python, found.torch, found.libraries) == (
        "3.12.1",
        "2.1.0",
        {"numpy": "2.4.6", "transformers": "5.23.0"},
    )
    assert (found.cpu, found.cudnn, found.torch_threads) == (here.cpu, None, None)
    ours = replace(base, interpreter=Interpreter(Path(sys.executable), Path("/code")))
    assert EnvironmentPair(ours, base).came_from(here) == here


def test_the_file_of_samples_says_so(tmp_path: Path) -> None:
    pair = EnvironmentPair(environment(torch="2.1.0"), environment())
    judged = Judged(command="ab", before="a", after="b", rows=())
    side_by_side._keep(Compared(judged, (), True, pair), tmp_path / "out.json", "vlbench ab", "cpu")
    assert read_results(tmp_path / "out.json").fingerprint.torch == "2.1.0"


def test_an_interpreter_finds_this_vlbench_before_another_and_is_told_to_be_no_other_python() -> None:
    given = {"PYTHONHOME": "/usr", "__PYVENV_LAUNCHER__": "/usr/bin/python3", "PYTHONPATH": "/mine", "A": "1"}
    found = Interpreter(Path("/python"), Path("/code")).within(given)
    assert found == {"PYTHONPATH": "/code:/mine", "A": "1"}
