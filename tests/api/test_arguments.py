from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import vlbench
from tests.towers import toys
from vlbench.api.arguments import argument_words, called, paths, several, tower_names
from vlbench.errors import UsageError
from vlbench.towers.tower import Tower


def test_one_several_or_none() -> None:
    assert several("a") == ["a"]
    assert several(("a", "b")) == ["a", "b"]
    assert several(None) == several([]) == []
    assert paths("a") == paths(Path("a")) == paths([Path("a")]) == [Path("a")]
    assert paths(None) == []


def test_towers_are_named_by_where_they_lie() -> None:
    assert tower_names(None) == []
    assert tower_names("qwen2-vl-tiny") == ["qwen2-vl-tiny"]
    assert tower_names([toys.Toy, "x:y"]) == ["tests.towers.toys:Toy", "x:y"]


def test_what_no_other_process_can_import_is_refused() -> None:
    def inner() -> None: ...

    for tower in (inner, lambda: None):
        with pytest.raises(UsageError, match="is made inside of a function; put it at the top of a module"):
            tower_names(tower)
    with pytest.raises(UsageError, match=r"name where it lies: tower='package.module:NAME'"):
        tower_names(Tower(lambda device, dtype: None))  # type: ignore[arg-type, return-value]


def test_messages_name_arguments_and_leave_commands_alone() -> None:
    said = "--device: no; --as x; --filter y; run `vlbench run --out x`"
    assert argument_words(said) == "device: no; gpu x; only y; run `vlbench run --out x`"


def test_a_call_is_told_without_what_is_usual() -> None:
    def f(a: int | None = None, *, b: int = 1, progress: bool = True) -> None: ...

    assert called("f", {"a": "x", "b": 1, "progress": False, "local": 3}, f) == "vlbench.f(a='x')"


@pytest.mark.parametrize(
    "call",
    [
        lambda: vlbench.run(budget="x"),
        lambda: vlbench.run(trials=0),
        lambda: vlbench.run(trials=1.5),
        lambda: vlbench.run(budget=float("nan")),
        lambda: vlbench.run(budget=float("inf")),
        lambda: vlbench.run(timeout=-1),
        lambda: vlbench.run(threads=0),
        lambda: vlbench.run(seed=2**70),
        lambda: vlbench.run(seed=True),
        lambda: vlbench.run(state=3),
        lambda: vlbench.run(dtype=[3]),
        lambda: vlbench.verify(threads=-1),
        lambda: vlbench.profile(forwards=0),
        lambda: vlbench.compare(3, None),
        lambda: vlbench.judge(3, "b"),
    ],
)
def test_an_argument_of_the_wrong_kind_gets_one_sentence(call: Callable[[], object]) -> None:
    with pytest.raises(vlbench.UsageError) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ("run(variants='best')", "variants: vlbench.run takes no such argument; did you mean variant?"),
        ("load('a', zzz=1)", "zzz: vlbench.load takes no such argument; it takes path"),
        ("compare('a')", "vlbench.compare: missing a required argument: 'after'; see help(vlbench.compare)"),
        ("run('a', 'b')", "vlbench.run: too many positional arguments; see help(vlbench.run)"),
        ("run(weights=3)", "weights: 3 is neither a path nor a list of paths; give one of them"),
        ("run(images=['a', 3])", "images: ['a', 3] is neither a path nor a list of paths; give one of them"),
        ("run(tower=[3])", 'tower: [3] is neither a tower nor a list of towers; give "package.module:factory"'),
        ("run(resume='yes')", "resume: 'yes' is neither True nor False; give one"),
        ("run(device=None)", "device: None is no text; give one"),
        ("count(cudnn=9)", "cudnn: 9 is no text; give one"),
    ],
)
def test_what_a_function_does_not_take_is_told(call: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        eval(f"vlbench.{call}")
    assert str(caught.value) == sentence


@pytest.mark.parametrize("revision", ["base", "head"])
def test_a_revision_is_refused_beside_an_interpreter(revision: str) -> None:
    with pytest.raises(vlbench.UsageError, match=f"^{revision} says nothing beside python; leave it out$"):
        vlbench.ab(python="no-such-python", **{revision: "HEAD"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "form"),
    [
        ({"grid": (1, 36, 36)}, r'give "1x36x36" for 1 frame of 36 x 36 patches'),
        ({"grid": [(1, 36, 36)]}, r'give "1x36x36" for 1 frame of 36 x 36 patches'),
        ({"dtype": torch.float16}, r'give "bfloat16"'),
        ({"variant": 3}, "give one of them"),
    ],
    ids=str,
)
def test_an_object_in_place_of_a_text_is_told_how_to_write_it(given: dict[str, object], form: str) -> None:
    with pytest.raises(UsageError, match=rf"is neither a text nor a list of texts; {form}$"):
        vlbench.count("qwen2.5-vl-7b", **given)  # type: ignore[arg-type]
