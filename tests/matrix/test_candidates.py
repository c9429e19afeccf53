from __future__ import annotations

import pytest

from tests.implementations.towers import TINY, name_of
from vlbench.errors import UsageError
from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.implementations.optimized import OPTIMIZATIONS, Exactness, with_requirements
from vlbench.matrix.candidates import candidates, needed_by, put_in, related

CONFIG = MODELS["qwen2.5-vl-7b"]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("config", [*TINY, CONFIG], ids=name_of)
def test_every_flag_of_a_tower_is_changed_or_has_a_reason(config: VisionConfig, device: str) -> None:
    found = candidates(config, device)
    groups = (found.changed, found.inapplicable, found.not_tried)
    assert sorted(flag for each in groups for flag in each) == sorted(found.order)
    assert found.changed.keys() >= found.flags
    names = [row.name for row in found.rows]
    assert len(names) == len(set(names))
    assert names[:2] == ["baseline", "best"]
    assert {row.reference for row in found.rows[2:]} <= {"best"}
    for flag, row in found.changed.items():
        assert (flag in (row.flags or ())) is (flag not in found.flags)
        assert row.exactness is not Exactness.RESULT_CHANGING
    for pair, row in found.together.items():
        assert not set(row.flags or ()).intersection(pair)


def test_a_flag_takes_the_place_of_another_way_of_its_seam_and_brings_what_it_needs() -> None:
    best = candidates(CONFIG, "cuda").flags
    assert put_in("argsort-inverse", best) == best - {"host-inverse"} | {"argsort-inverse"}
    for flag in candidates(CONFIG, "cuda").changed:
        made = put_in(flag, best)
        assert with_requirements([flag]) <= made
        assert all(with_requirements([each]) <= made for each in made)


def test_two_flags_are_tried_together_where_one_names_the_other_and_neither_needs_the_other() -> None:
    found = candidates(CONFIG, "cuda")
    pairs = list(related(found.flags))
    assert list(found.together) == pairs
    assert pairs
    for one, other in pairs:
        named = [OPTIMIZATIONS[each] for each in (one, other)]
        assert any({one, other} & {*flag.beside, *flag.pairs, *flag.excludes} for flag in named)
        assert one not in needed_by(other, found.flags)
        assert other not in needed_by(one, found.flags)


def test_what_needs_a_flag_goes_with_it() -> None:
    found = candidates(CONFIG, "cuda")
    (needing, needed) = next((flag, each) for flag in sorted(found.flags) for each in OPTIMIZATIONS[flag].requires)
    assert needing in needed_by(needed, found.flags)
    assert needing not in (found.changed[needed].flags or ())


def test_a_preset_that_there_is_not() -> None:
    with pytest.raises(UsageError, match="there is no flag or preset 'bestt'; did you mean best"):
        candidates(CONFIG, "cpu", "bestt")
