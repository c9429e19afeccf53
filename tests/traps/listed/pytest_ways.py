"""Tests that do not test, over a tower that has regressed."""

from __future__ import annotations

from subprocess import CompletedProcess
from typing import Any

from tests.pytest_plugin.test_judged import TAKEN_OUT, UNMARKED
from tests.traps.traps import BASELINE, Copy, trap
from vlbench.record.baseline_files import load_baseline, write_baseline

Done = CompletedProcess[str]
TEST, LIMITS = "tests/test_vlbench.py", "tests/test_limits.py"
BASE, ASK = "vlbench gate --base main", "pytest --vlbench-base main"
HIDDEN = "pytest by itself no longer collects such a test"
FIXTURE = "import pytest\n\n\n@pytest.fixture\ndef vlbench_gate():\n    pass\n"


def pytest_run(copy: Copy, options: str = "", *, files: str = TEST, **env: str) -> Done:
    copy.regress()
    return copy.run(f"pytest -p no:cacheprovider {options} {files}", env)


def conftest(title: str, text: str, exit: int = 1, says: str = "not judged", **fields: Any) -> None:
    """Lists a conftest that some patch brings along."""

    @trap("pytest", title, exit, says, command="pytest", **fields)
    def _(copy: Copy) -> Done:
        copy.write("tests/conftest.py", text)
        return pytest_run(copy, files="tests")


@trap("pytest", "Nothing: the tower has regressed", 1, "host syncs rose", command="pytest")
def _(copy: Copy) -> Done:
    return pytest_run(copy)


@trap("pytest", "`-p no:vlbench`", 1, "fixture 'vlbench_gate' not found", command="pytest -p no:vlbench")
def _(copy: Copy) -> Done:
    return pytest_run(copy, "-p no:vlbench")


@trap("pytest", "`PYTEST_DISABLE_PLUGIN_AUTOLOAD=1`", 1, "fixture 'vlbench_gate' not found", command="pytest")
def _(copy: Copy) -> Done:
    return pytest_run(copy, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")


@trap(
    "pytest", "A plugin that is loaded with `-p` has the fixture, and judges nothing", 1, "host syncs", command="pytest"
)
def _(copy: Copy) -> Done:
    copy.write("stand_in.py", FIXTURE)
    return pytest_run(copy, "-p stand_in")


@trap("pytest", "A conftest with a fixture `vlbench_gate` of its own", 1, "host syncs", command="pytest")
def _(copy: Copy) -> Done:
    copy.write("tests/conftest.py", FIXTURE)
    return pytest_run(copy)


@trap("pytest", "`python -O`, which leaves asserts out", 1, "host syncs rose", command="python -O -m pytest")
def _(copy: Copy) -> Done:
    copy.regress()
    return copy.run(f"python -O -m pytest -p no:cacheprovider {TEST}")


@trap("pytest", "`--maxfail 1`, with a test before it that is known to fail", 1, "failed", command="pytest -x")
def _(copy: Copy) -> Done:
    copy.write("tests/test_a.py", "def test_known():\n    raise AssertionError\n")
    return pytest_run(copy, "--maxfail 1", files="tests")


SKIP = """
import pytest


@pytest.fixture(autouse=True)
def skipped():
    pytest.skip("later")
"""
XFAIL = """
def pytest_collection_modifyitems(items):
    for each in items:
        each.add_marker("xfail")
"""
REPLACED = """
import vlbench.pytest_plugin.gate

vlbench.pytest_plugin.gate.gate = lambda item: ""
"""
PASSED = """
import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    report.outcome = "passed"
    return report
"""
EXIT_0 = """
def pytest_sessionfinish(session):
    session.exitstatus = 0
"""
conftest("A skip in an autouse fixture", SKIP)
conftest("An xfail that a conftest adds to every test", XFAIL)
conftest("A conftest that replaces the plugin's `gate`", REPLACED)
conftest("A conftest that takes the marked tests out", TAKEN_OUT)
conftest("A conftest that takes the markers off", UNMARKED)
conftest(
    "A conftest that reports every test as passed",
    PASSED,
    0,
    "",
    cannot="a conftest runs inside of pytest, and can make of its results what it likes",
)
conftest(
    "A conftest that sets the exit status of the session",
    EXIT_0,
    0,
    "",
    cannot="as above; `vlbench gate --base` in a job of its own asks no test",
)


@trap("pytest", "`PYTEST_ADDOPTS=-p no:vlbench` in the environment", 1, "fixture 'vlbench_gate' not", command="pytest")
def _(copy: Copy) -> Done:
    return pytest_run(copy, PYTEST_ADDOPTS="-p no:vlbench")


conftest(
    "A conftest that ends the process as soon as it is imported",
    "import os\n\nos._exit(0)\n",
    0,
    "",
    cannot="nobody is left to say anything; `vlbench gate --base` in a job of its own asks no test",
)


@trap(
    "pytest",
    "`--ignore` of the marked tests in pytest.ini",
    0,
    command="pytest",
    cannot="what is not collected is not seen; `vlbench gate --base` asks no test",
)
def _(copy: Copy) -> Done:
    copy.write("pytest.ini", f"[pytest]\naddopts = --ignore={TEST}\n")
    copy.replace(LIMITS, "max_syncs=0", "max_syncs=99")
    return pytest_run(copy, files="tests")


def judged_at_base(copy: Copy, options: str = "") -> Done:
    copy.regress()
    copy.commit()
    return copy.run(f"{BASE}{options}")


@trap("pytest", "A conftest that has their files ignored", 6, HIDDEN, command=BASE)
def _(copy: Copy) -> Done:
    copy.write("tests/conftest.py", "collect_ignore_glob = ['*']\n")
    return judged_at_base(copy)


@trap("pytest", "`testpaths` that lead elsewhere", 6, HIDDEN, command=BASE)
def _(copy: Copy) -> Done:
    copy.write("more/test_more.py", "def test_more():\n    pass\n")
    copy.write("pytest.ini", "[pytest]\ntestpaths = more\n")
    return judged_at_base(copy)


@trap("pytest", "The limit in a marker is raised", 3, "max_syncs", command=BASE)
def _(copy: Copy) -> Done:
    copy.replace(LIMITS, "max_syncs=0", "max_syncs=99")
    return judged_at_base(copy)


@trap("pytest", "A marker is removed", 3, "max_syncs", command=BASE)
def _(copy: Copy) -> Done:
    copy.replace(LIMITS, '@pytest.mark.vlbench(tower="tower:tower", grid=["1x4x4", "4x4x6"], max_syncs=0)\n', "")
    return judged_at_base(copy)


@trap("pytest", "The limit in a marker is raised, where pytest itself asks", 1, "max_syncs=0", command=ASK)
def _(copy: Copy) -> Done:
    copy.replace(LIMITS, "max_syncs=0", "max_syncs=99")
    copy.commit()
    return copy.run(f"{ASK} -p no:cacheprovider {LIMITS}")


@trap("pytest", "A figure edited under a seal that fits, where pytest itself asks", 1, "not measured", command=ASK)
def _(copy: Copy) -> Done:
    path = copy.folder / BASELINE
    copy.edit_json(BASELINE, lambda content: content["counted"][0]["warm"]["counters"].update(host_syncs=6))
    write_baseline(load_baseline(path).sealed(), path)
    copy.commit()
    return copy.run(f"{ASK} -p no:cacheprovider {TEST}")


@trap("pytest", "The tests are deleted", 6, HIDDEN, command=BASE)
def _(copy: Copy) -> Done:
    copy.run(f"git rm --quiet {TEST} {LIMITS}")
    return judged_at_base(copy)


@trap(
    "pytest",
    "`-k` leaves the marked test out",
    0,
    command="pytest -k something_else",
    cannot="who writes the command line of a test run decides what it runs; `vlbench gate --base` asks no test",
)
def _(copy: Copy) -> Done:
    return pytest_run(copy, "-k something_else", files="tests")
