from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from vlbench.errors import UsageError
from vlbench.workload.library import load_scenario, scenario_names, shipped_folder
from vlbench.workload.scenario import ScenarioPoint

HEAD = 'title = "t"\nstands_for = "s"\n'


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "own.toml"


def test_the_shipped_scenarios_are_found_as_package_data() -> None:
    expected = {"single-image", "multi-image", "video", "high-res", "thumbnails", "mixed", "ragged", "serving-mix"}
    expected |= {"one-720p", "chart-qa", "gui-agent", "video-long", "serving-one-tenant", "mmmu"}
    expected |= {"square-images", "short-clips"}  # the grids of vLLM #40116
    assert expected <= set(scenario_names())
    assert all((shipped_folder() / f"{name}.toml").is_file() for name in scenario_names())


@pytest.mark.parametrize("name", scenario_names())
def test_every_shipped_scenario_loads_and_says_why_it_is_smaller_on_a_cpu(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.name == name
    assert "\n" not in scenario.title + scenario.stands_for
    assert all(point.why_scaled is None for point in scenario.points("cuda"))
    assert all(point.why_scaled and point.why_scaled.endswith(".") for point in scenario.points("cpu"))
    for point in [*scenario.points("cpu"), *scenario.points("cuda")]:
        assert point.scenario == name
        assert ScenarioPoint.model_validate_json(point.model_dump_json()) == point


def test_the_production_mix_is_swept() -> None:
    for kind in ("cpu", "cuda"):
        labels = [point.label for point in load_scenario("serving-mix").points(kind)]
        assert labels == ["requests=1", "requests=4", "requests=16"]


def test_a_file_of_ones_own_without_a_cpu_table_is_the_same_everywhere(own: Path) -> None:
    own.write_text(HEAD + '[[item]]\nsize = ["56x84", "112x112"]\ncount = [1, 8]\n')
    scenario = load_scenario(str(own))
    assert scenario.name == "own"
    assert scenario.points("cpu") == scenario.points("cuda")
    labels = ["size=56x84,count=1", "size=56x84,count=8", "size=112x112,count=1", "size=112x112,count=8"]
    assert [point.label for point in scenario.points("cpu")] == labels


def test_the_cpu_table_is_laid_over_the_rest(own: Path) -> None:
    own.write_text(HEAD + 'limit = "1M"\n[[item]]\nsize = "800x800"\n[cpu]\nwhy = "Slow."\nlimit = 50000\n')
    scenario = load_scenario(str(own))
    (cuda,), (cpu,) = scenario.points("cuda"), scenario.points("cpu")
    assert (cuda.max_pixels, cpu.max_pixels) == (1_003_520, 50_000)
    assert cpu.item == cuda.item
    assert cpu.why_scaled == "Slow."


def test_items_on_a_cpu_take_the_place_of_a_mix(own: Path) -> None:
    mix = '[mix]\nrequests = 1\ntoken_budget = 9\ndistribution = "d.json"\n'
    distribution = {"credit": "c", "image_count": {"1": 1}, "image_tokens": {"6": 1}}
    (own.parent / "d.json").write_text(json.dumps(distribution))
    own.write_text(HEAD + mix + '[cpu]\nwhy = "Slow."\n[[cpu.item]]\nsize = "56x56"\n')
    (cpu,), (cuda,) = (load_scenario(str(own)).points(kind) for kind in ("cpu", "cuda"))
    assert cpu.mix is None
    assert cuda.mix is not None
    assert cuda.mix.distribution == str(own.parent / "d.json")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[[item]]\nsize = "56x84"\ncuont = 2\n', r"item\[0\]\.cuont is not a field; did you mean 'count'\?"),
        ('limti = "hub"\n[[item]]\nsize = "56x84"\n', r"limti is not a field; did you mean 'limit'\?"),
        ('[[item]]\nsize = "-56x84"\n', r"item\[0\]\.size: '-56x84' has to be HEIGHTxWIDTH .* such as '480x640'"),
        ('[[item]]\nsize = "0x84"\n', r"item\[0\]\.size: '0x84' has to be HEIGHTxWIDTH"),
        ('[[item]]\nsize = "56x84"\ncount = 0\n', r"item\[0\]\.count: .* greater than or equal to 1, not 0"),
        ('[[item]]\nsize = "56x84"\ncount = [1, -2]\n', r"item\[0\]\.count: .* than or equal to 1, not -2"),
        ('[[item]]\nsize = "56x84"\ncount = 2.5\n', r"item\[0\]\.count: .* valid integer, not 2\.5"),
        ('[[item]]\nsize = "10x2001"\n', r"item\[0\]\.size: .* ratio of 200\.1, above the 200 .* less narrow"),
        ('[[item]]\nsize = "99999x99999"\n', r"item\[0\]\.size: '99999x99999' is above 178,956,970 pixels"),
        ('[[item]]\ngrid = "35x46"\n', r"item\[0\]\.grid: '35x46' must be even both ways, .* '36x46' would do"),
        ('[[item]]\ngrid = "2x1000"\n', r"item\[0\]\.grid: .* aspect ratio of 500\.0"),
        ("[[item]]\ncount = 2\n", r"item\[0\]: give either size .* or grid"),
        ('[[item]]\nkind = "video"\nsize = "56x84"\n', r"item\[0\]: a video needs frames, such as frames = 16"),
        ('[[item]]\nframes = 4\nsize = "56x84"\n', r"item\[0\]: an image has no frames; remove frames"),
        ('limit = "2M"\n[[item]]\nsize = "56x84"\n', "limit: '2M' has to be 'hub', '1M' or a number of pixels"),
        ('limit = 100\n[[item]]\nsize = "56x84"\n', "limit: 100 has to be 'hub', '1M' or a number of pixels"),
        ('source = "video"\n[[item]]\nsize = "56x84"\n', "source: .*'photos' or 'noise', not 'video'"),
        ('[item]\nsize = "56x84"\n', r"item has to be a table; write it as \[\[item\]\]"),
        ("mix = 3\n", r"mix has to be a table; write it as \[mix\]"),
        ("[[item]]\nsize = 5\n", r"item\[0\]\.size: .* valid string, not 5: Height x width .* '480x640'"),
        ('[[item]]\nsize = "56x84"\n[cpu]\nwhy = ["a", "b"]\n', r"cpu\.why: .* valid string, not \['a', 'b'\]"),
        ("", r"give either \[\[item\]\] tables or one \[mix\] table"),
        ("[mix]\nrequests = 4\n", r"mix\.token_budget is missing; add it: "),
        ('cpu = 3\n[[item]]\nsize = "56x84"\n', r"cpu has to be a table; write it as \[cpu\]"),
        ('[[item]]\nsize = "56x84"\n[cpu]\nlimit = 5000\n', r"cpu\.why is missing; add it: One sentence"),
        ('[[item]]\nsize = "56x84"\n[cpu]\nwhy = "w"\ntitle = "t"\n', r"cpu\.title is not a field"),
        ('why = "w"\n[[item]]\nsize = "56x84"\n', "why is not a field"),
        ('[[item]]\nsize = "56x84"\n[cpu]\nwhy = "a\\nb"\n', r"cpu\.why: must be one line of printable characters"),
        ("[[item]\n", "is not TOML"),
    ],
)
def test_a_wrong_file_is_answered_with_one_sentence(own: Path, text: str, sentence: str) -> None:
    own.write_text(HEAD + text)
    with pytest.raises(UsageError, match=sentence) as raised:
        load_scenario(str(own))
    assert str(raised.value).startswith(str(own))
    assert "\n" not in str(raised.value)


def test_a_missing_title_is_asked_for(own: Path) -> None:
    own.write_text('stands_for = "s"\n[[item]]\nsize = "56x84"\n')
    with pytest.raises(UsageError, match="title is missing; add it: One line that says what is fed in"):
        load_scenario(str(own))


@pytest.mark.parametrize("title", [r"\u001b[2J", r"two\nlines", ""])
def test_a_title_that_is_no_line_of_print_is_refused(own: Path, title: str) -> None:
    own.write_text(f'title = "{title}"\nstands_for = "s"\n[[item]]\nsize = "56x84"\n')
    with pytest.raises(UsageError, match=r"own\.toml: title: (must be one line of printable|.*at least 1) character"):
        load_scenario(str(own))


@pytest.mark.parametrize("distribution", ["../../../../../../../../etc/passwd", "../gone.json", "own.toml"])
def test_a_distribution_that_is_none_is_told_before_anything_draws_from_it(own: Path, distribution: str) -> None:
    own.write_text(HEAD + f'[mix]\nrequests = 1\ntoken_budget = 9\ndistribution = "{distribution}"\n')
    with pytest.raises(UsageError, match=r"(is not JSON|cannot be read) .*; name a JSON file in mix\.distribution"):
        load_scenario(str(own))


def test_an_unknown_name_is_answered_with_the_close_one_and_all_others() -> None:
    with pytest.raises(UsageError, match="did you mean 'multi-image'") as raised:
        load_scenario("mutli-image")
    assert all(name in str(raised.value) for name in scenario_names())


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.toml does not exist"):
        load_scenario(str(tmp_path / "absent.toml"))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(UsageError, match=r"folder\.toml cannot be read as text"):
        load_scenario(str(tmp_path / "folder.toml"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"binary\.toml cannot be read as text"):
        load_scenario(str(tmp_path / "binary.toml"))


def test_listing_scenarios_and_their_grids_loads_no_heavy_module() -> None:
    program = (
        "import sys; from vlbench.workload.batch import grids_only\n"
        "from vlbench.workload.library import load_scenario, scenario_names\n"
        "from vlbench.implementations.preprocessing import Preprocessing\n"
        "[grids_only(p, 0, Preprocessing()) for name in scenario_names() for p in load_scenario(name).points('cuda')]\n"
        "heavy = {'torch', 'numpy', 'PIL', 'pandas', 'scipy', 'transformers', 'einops'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
