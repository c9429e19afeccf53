from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from vlbench.errors import UsageError
from vlbench.implementations.config import MODELS
from vlbench.implementations.prompt.mrope import RULES, Request, mrope
from vlbench.matrix.plan import parse_filter
from vlbench.matrix.seams import seams_of_prompts
from vlbench.workload.library import load_scenario, scenarios_and_prompts
from vlbench.workload.prompts import CLIP, PROMPTS, SIZES, prompt_ids
from vlbench.workload.seam_case import Setting
from vlbench.workload.seams import CASES, seams_fed

CONFIG = MODELS["qwen2.5-vl-tiny"]
RULE = RULES[CONFIG.family]


@pytest.mark.parametrize("name", PROMPTS)
def test_a_prompt_is_of_its_size(name: str) -> None:
    setting = Setting(CONFIG, torch.float32, torch.device("cpu"), torch.Generator().manual_seed(3))
    rule = PROMPTS[name].rule or RULE
    ids = [prompt_ids(each, rule, setting, expanded=True) for each in PROMPTS[name].requests]
    assert sum(map(len, ids)) == SIZES[name]
    pictures = sum(int((each == RULE.image_token).sum()) for each in ids)
    videos = sum(int((each == RULE.video_token).sum()) for each in ids)
    wanted = {
        "prompt-text": (0, 0),
        "prompt-image": (324, 0),
        "prompt-video": (0, 1440),
        "prompt-video-frames": (0, 1440),
        "prompt-mixed-batch": (1296, 1440),
    }
    assert (pictures, videos) == wanted[name]


def test_frames_apart_are_measured_whatever_the_model() -> None:
    """Qwen3-VL's tokens of a video in eight runs, and positions that a video in one run does not have."""
    setting = Setting(CONFIG, torch.float32, torch.device("cpu"), torch.Generator().manual_seed(3))
    made = CASES["mrope"].make(SIZES["prompt-video-frames"], setting)
    (ids,) = made.arguments[0]
    video = (ids == RULE.video_token).int()
    assert int((video.diff(prepend=video.new_zeros(1)) == 1).sum()) == CLIP.grid[0]
    positions, _ = made.way(frozenset(), torch.float32)(ids)
    items = PROMPTS["prompt-video-frames"].requests[0].items
    assert torch.equal(positions, mrope.naive_way([Request(ids, items)], RULES["qwen3_vl"])[0])


def test_a_run_measures_prompts_or_towers() -> None:
    asked = parse_filter(["variant=naive"])
    assert seams_of_prompts(["prompt-text", "prompt-image"], [], asked) == (
        [],
        ["mrope", "preparation"],
        parse_filter(["point=prompt-text,prompt-image", "variant=naive"]),
        "--scenario prompt-text",
    )
    chosen = parse_filter(["point=prompt-image"])  # what is asked for by name goes before what follows from prompts
    assert seams_of_prompts(["prompt-text", "prompt-image"], [], chosen)[2] == chosen
    for scenarios, seams in ((["multi-image"], []), ([], ["mrope"])):
        assert seams_of_prompts(scenarios, seams, asked) == (scenarios, seams, asked, "--seam")
    assert set(PROMPTS) < set(scenarios_and_prompts())
    with pytest.raises(
        UsageError, match=r"^--scenario prompt-text is about a prompt, and video feeds a tower; measure "
    ):
        seams_of_prompts(["prompt-text", "video"], [], asked)


@pytest.mark.parametrize(
    ("name", "seams"),
    [
        ("prompt-text", ["preparation"]),
        ("prompt-image", ["mrope"]),
        ("prompt-video", ["mrope", "pruning"]),
        ("prompt-video-frames", ["mrope"]),
        ("prompt-mixed-batch", ["mrope", "preparation"]),
    ],
)
def test_prompts_feed_the_seams_whose_flags_can_change_something(name: str, seams: list[str]) -> None:
    assert seams_fed(name) == seams


def test_no_tower_sees_prompts() -> None:
    told = "prompt-image is about prompts, which no tower sees; `vlbench run --scenario prompt-image` measures it"
    with pytest.raises(UsageError, match=f"^{told}$"):
        load_scenario("prompt-image")
    with pytest.raises(UsageError, match=r"^there is no scenario 'prompt-imag'; did you mean 'prompt-image'"):
        load_scenario("prompt-imag")


@pytest.mark.slow
def test_seams_are_listed_in_one_order_whoever_imports_first() -> None:
    asks = (
        "from vlbench.workload.library import scenarios_and_prompts; scenarios_and_prompts()\n"
        "from vlbench.workload.seams import CASES; print(*CASES)"
    )
    told = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True).stdout.split()
    assert told[0] == "inverse-permutation"
    assert told[-3:] == ["mrope", "preparation", "pruning"]
