"""What a release is made of says the same everywhere: the address, the names of actions, the files of a container."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_hash(path: Path) -> None:
    jobs = yaml.safe_load(path.read_text())["jobs"].values()
    used = [step["uses"] for job in jobs for step in job["steps"] if "uses" in step]
    assert [each for each in used if not re.fullmatch(r"\./action|[\w-]+/[\w-]+@[0-9a-f]{40}", each)] == []


def test_no_more_than_publishing_may_ask_for_an_identity() -> None:
    release = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    assert release["permissions"] == {"contents": "read"}
    asks = {name for name, job in release["jobs"].items() if "id-token" in job.get("permissions", {})}
    assert asks == {"publish"}
    assert release["jobs"]["publish"]["needs"] == "build"


def test_every_python_that_is_named_is_tried() -> None:
    named = {each.split(" :: ")[-1] for each in PROJECT["classifiers"] if "Python :: 3." in each}
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    tried = {each["python"] for each in jobs["others"]["strategy"]["matrix"]["include"]}
    assert named == tried
    folders = {name for each in jobs["others"]["strategy"]["matrix"]["include"] for name in each["tests"].split()}
    assert [name for name in folders if not (ROOT / name).is_dir()] == []


def test_the_citation_and_the_container_name_what_is_there() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["repository-code"], citation["license"]) == (PROJECT["urls"]["Source"], PROJECT["license"])
    copied = re.findall(r"^COPY (.*) /src/", (ROOT / "Containerfile").read_text(), re.MULTILINE)
    assert [name for line in copied for name in line.split() if not (ROOT / name).exists()] == []
