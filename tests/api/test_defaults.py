from __future__ import annotations

from pathlib import Path

import pytest

from vlbench.api.defaults import Defaults, defaults
from vlbench.errors import UsageError


def write(folder: Path, text: str) -> Path:
    path = folder / "pyproject.toml"
    path.write_text(text)
    return path


def test_without_a_table_they_are_ours(tmp_path: Path) -> None:
    write(tmp_path, '[project]\nname = "x"\n')
    assert defaults(tmp_path) == Defaults()
    assert Defaults().baselines == "results/baselines"


def test_they_are_found_upwards_and_the_folder_is_seen_from_their_file(tmp_path: Path) -> None:
    write(tmp_path, '[tool.vlbench]\ntower = "my:Tower"\nscenario = "video"\ngpu = "sm_80"\nbaselines = "kept"\n')
    (tmp_path / "deeper").mkdir()
    found = defaults(tmp_path / "deeper")
    assert (found.tower, found.scenario, found.gpu) == ("my:Tower", "video", "sm_80")
    assert found.baselines == str(tmp_path / "kept")
    assert defaults(tmp_path).baselines == "kept"


def test_the_nearest_file_is_the_one(tmp_path: Path) -> None:
    write(tmp_path, '[tool.vlbench]\nscenario = "video"\n')
    (tmp_path / "inner").mkdir()
    write(tmp_path / "inner", "")
    assert defaults(tmp_path / "inner").scenario is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[tool.vlbench]\ngpus = 1\n",
            "[tool.vlbench] has no key 'gpus'; the keys are tower, scenario, gpu, cudnn, baselines",
        ),
        ("[tool.vlbench]\nscenario = 3\n", "[tool.vlbench] scenario is 3 and no text; write it in quotes"),
        (
            "[tool]\nvlbench = 3\n",
            "[tool.vlbench] is 3 and no table; write tower, scenario, gpu, cudnn, baselines below it",
        ),
        ("tool = 3\n", "[tool.vlbench] is 3 and no table"),
        ('[tool.vlbench]\ncudnn = "8.9"\n', "[tool.vlbench] cudnn 8.9: no version of cuDNN 9"),
        ('[tool.vlbench]\ngpu = "sm_42"\n', "[tool.vlbench] gpu sm_42: no such GPU profile; choose one of sm_75"),
        ('[tool.vlbench]\ncudnn = ""\n', "[tool.vlbench] cudnn is empty; say what it is, or leave the key out"),
        ("[tool.vlbench\n", "not TOML"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        defaults(tmp_path)
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_cudnn_that_is_answered_for_is_the_given_one_else_that_of_the_table_else_the_profile_s(
    tmp_path: Path,
) -> None:
    ours = Defaults()
    write(tmp_path, '[tool.vlbench]\ngpu = "sm_100"\ncudnn = "9.15.1"\n')
    theirs = defaults(tmp_path)
    assert ours.answered_for(None, None) == ("sm_90", "9.19")
    assert ours.answered_for("sm_80", "9.20.0.48") == ("sm_80", "9.20")
    assert theirs.answered_for(None, None) == ("sm_100", "9.15.1")
    assert theirs.answered_for("sm_90", "9.22") == ("sm_90", "9.22")
    for gpu, cudnn, words in ((None, "8.9", "--cudnn 8.9: no version"), ("sm_42", None, "--as sm_42: no such GPU")):
        with pytest.raises(UsageError, match=words):
            theirs.answered_for(gpu, cudnn)
