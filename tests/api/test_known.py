"""A name that nothing has is refused at once, by every command and function alike: nothing heavy is imported for it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path

import pytest

from tests.cli.test_main import reported
from vlbench.api.known import as_known
from vlbench.errors import UsageError
from vlbench.towers.from_folder import import_root
from vlbench.towers.modules import check_factory, module_meant
from vlbench.towers.resolve import find_factory, resolve_tower

HERE = (
    "tower 'acme_vit': there is no model 'acme_vit'; acme_vit.py is here: did you mean acme_vit:Tower? or one of make?"
)
MODEL = "there is no model 'qwen2.5-vl-7bb'; did you mean qwen2.5-vl-7b?"
FLAG = "there is no flag 'rope-cash'; did you mean rope-cache?"
BY_COMMAND = {
    "run --tower acme_vit": HERE,
    "count --diff baseline rope-cash": f"variant 'rope-cash': {FLAG}",
    "predict --gpu l40z": "--gpu: 'l40z' is not one of ",
    "recommend --start bset": "there is no flag or preset 'bset'; did you mean best?",
    "gate init acme_vti": "there is no model 'acme_vti'; acme_vit.py is here: did you mean acme_vit:Tower?",
    "ab a b --scenario vidoe": "did you mean 'video'?",
    "ab --python x --tower acme_vit:Towr": "acme_vit has no 'Towr'; did you mean acme_vit:Tower?",
    "ab --python x --head-tower qwen2.5-vl-7b+rope-cash": f"tower 'qwen2.5-vl-7b+rope-cash': {FLAG}",
    "ab --python x --python y --tower qwen2.5-vl-7bb": MODEL,
    "run --preset gone.toml": "gone.toml: no such file; write one with `vlbench recommend --out FILE.toml`",
    "count --tower qwen2.5-vl-7b+gone.toml": "gone.toml: no such file; write one with `vlbench recommend",
    "simulate --model qwen2.5-vl-7bb": f"--model: {MODEL}",
    "run --weights gone": "--weights gone: not a folder; give the folder that holds the .safetensors files",
    "verify --weights mine.toml": "--weights mine.toml: not a folder",
    "run --images gone.jpg": "gone.jpg does not exist; give the path of a picture",
    "run --plan gone.jsonl": "gone.jsonl: no such file; print one with `vlbench plan --out gone.jsonl`",
    "run --against gone.json": "gone.json: no such file; write one with `vlbench run --out gone.json`",
    "plan gone.toml": "gone.toml: no such file; give a file with options of `vlbench plan`",
    "fleet gone.jsonl --ray local": "gone.jsonl: no such file; print one",
    "predict --gpu gone.json": "gone.json: no such file; give a board's name, or a file of its form",
    "predict --capture gone.json": "gone.json: no such file; give an .sqlite or .nsys-rep capture",
    "nsys report gone.json": "gone.json: no such file; give an .sqlite or .nsys-rep capture",
    "nsys diff gone.json mine.toml": "gone.json: no such file; give an .sqlite or .nsys-rep capture",
    "atlas --against gone.json": "gone.json: no such file; write one with `vlbench atlas --out gone.json`",
    "baseline save a.json --reason a --results gone.json": "gone.json: no such file; write one with `vlbench run",
    "self-test --from gone.json": "gone.json: no such file; write one with `vlbench run --out gone.json`",
    "run --dtype int8": "--dtype: 'int8' is not one of float32, bfloat16, float16",
    "run --device tpu": "--device: 'tpu' is not one of auto, cpu, cuda",
    "run --state hot": "--state: 'hot' is not one of ",
    "run --ablate all": "--ablate: 'all' is not one of ",
    "ab . . --exactness roughly": "--exactness: 'roughly' is not one of bit-exact, ulp, reassociated",
    "merge gone.json --expect gone.jsonl": "gone.jsonl: no such file; print one with `vlbench plan",
    "recommend --grid 36x36": "--grid: '36x36' must be FRAMESxROWSxCOLUMNS in patches, such as 1x36x36",
    "run --seam rop": "--seam: 'rop' is not one of ",
    "run --filter flag=x": "--filter: 'flag=x' must be COORDINATE=PATTERN",
    "plan --filter flag=x": "--filter: 'flag=x' must be COORDINATE=PATTERN",
    "plan --out gone/a.jsonl": "--out gone/a.jsonl: the folder gone does not exist",
    "profile --tool perf": "--tool: 'perf' is not one of stages, pyinstrument, torch",
    "profile --tool torch --out mine.json/a": "--out mine.json/a: mine.json is in the way",
    "atlas --list gone.toml": "gone.toml: no such file; see the list that vlbench ships",
    "atlas --out gone/a.json": "--out gone/a.json: the folder gone does not exist",
    "report gone.json": "gone.json: no such file; give a file that vlbench wrote",
    "report mine.json -o gone/a.html": "--out gone/a.html: the folder gone does not exist",
    "recommend --out gone/a.toml": "--out gone/a.toml: the folder gone does not exist",
    "merge mine.json --expect mine.json --out gone/a.json": "--out gone/a.json: the folder gone does not exist",
    "case show fast": "there is no case 'fast'",
    "case run trtlm-vision-host": "there is no case 'trtlm-vision-host' (did you mean trtllm-vision-host?)",
    "verify --dump mine.json": "--dump mine.json: mine.json is in the way",
    "verify --dump gone/a": "--dump gone/a: the folder gone does not exist",
    "predict --cudnn 8": "--cudnn 8: no version of cuDNN 9; write it as 9.19 or 9.15.1",
}
REFUSED = [
    ("tower", "acme_vit.py", HERE.replace("'acme_vit'", "'acme_vit.py'")),
    ("tower", "acme_vti:make", "No module named 'acme_vti'; did you mean acme_vit:make?"),
    ("tower", "acme_vit:Towr", "acme_vit has no 'Towr'; did you mean acme_vit:Tower?"),
    ("tower", "acme_vit.Towr", "acme_vit.py is here: did you mean acme_vit:Tower?"),
    ("tower", "acme_vit.unlike", "acme_vit.py is here: did you mean acme_vit:Tower? or one of make?"),
    ("variant", "acme_vit.Tower", "acme_vit.py is here: did you mean acme_vit:Tower?"),
    ("tower", "acme_vit.Tower", "acme_vit.py is here: did you mean acme_vit:Tower?"),
    ("tower", "Qwen/Qwen2.5-VL-7B-Instruct", "did you mean qwen2.5-vl-7b?"),
    ("tower", "hf:Qwen/Qwen2-VL-7B-Instruct+best", "did you mean qwen2-vl-7b?"),
    ("model", "Qwen3-VL-30B-A3B-Instruct", "did you mean qwen3-vl-30b-a3b?"),
    ("tower", "acme_vit.py:make", "write the module as it is imported, acme_vit:make"),
    ("tower", "acme_vti.py:make", "acme_vti:make; there is no acme_vti.py here"),
    ("tower", "../acme_vit.py:make", "as it is imported, acme_vit:make, in the folder .."),
    ("tower", "hf-sdap:qwen2.5-vl-7b", "did you mean hf-sdpa:qwen2.5-vl-7b?"),
    ("tower", "hf:qwen2.5-vl-7bb", MODEL),
    ("variant", "best+rope-cash", f"variant 'best+rope-cash': {FLAG}"),
    ("variant", "acme_vti:make", "did you mean acme_vit:make?"),
    ("variant", "zzz", "there is no flag 'zzz'; the flags are "),
]
ALLOWED = [
    {"tower": ["acme_vit:Tower", "at:elsewhere:qwen9+best", "qwen2.5-vl-7b+skip-repin+mine.toml", "hf:qwen2-vl-2b"]},
    {"variant": ["baseline", "no-flags", "floor", "hf-sdpa", "exact+rope-cache"], "scenario": ["prompt-text"]},
    {"tower": ["gone:make"], "over": "main..HEAD"},
    {"tower": ["gone:make", "qwen2.5-vl-7b+best"], "python": ["one", "other"]},
    {"tower": ["acme_vit:Tower"], "head_tower": "gone:make", "python": ["other"]},
    {"model": "qwen9", "weights": "qwen9", "scenario": "of a file", "results": "a.json", "gpu": ["mine.json"]},
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in which a tower lies."""
    (tmp_path / "acme_vit.py").write_text("import torch\nclass Tower: ...\ndef make(): ...\ndef _own(): ...\n")
    for name in ("mine.toml", "mine.json"):
        (tmp_path / name).touch()
    (tmp_path / "qwen9").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_typing_error_costs_no_import_of_torch(here: Path) -> None:
    *told, loaded = reported(f"""
import sys
from contextlib import redirect_stderr
from vlbench.cli import main
for each in {list(BY_COMMAND)!r}:
    sys.argv = ["vlbench", *each.split()]
    try:
        with redirect_stderr(sys.stdout):
            main()
    except SystemExit as end:
        assert end.code == (6 if each.startswith("atlas --against") else 2), each
""")
    assert set(ast.literal_eval(loaded)) <= {"rich.console", "pydantic", "numpy", "pandas", "PIL"}
    for (command, words), line in zip(BY_COMMAND.items(), told, strict=True):
        assert line.startswith("error: "), command
        assert words in line, command


@pytest.mark.parametrize(("name", "text", "words"), REFUSED)
def test_what_is_nearest_is_named(here: Path, name: str, text: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        as_known({name: [text]})
    assert words in str(refused.value)


@pytest.mark.parametrize("given", ALLOWED)
def test_what_may_be_is_not_refused(here: Path, given: dict[str, object]) -> None:
    as_known(given)


@pytest.mark.parametrize(
    ("name", "given", "known"),
    [
        ("gpu", ["H100", "h200.json"], ["h100", "h200.json"]),
        ("gpu", "SM_90", "sm_90"),
        ("model", "Qwen2.5-VL-7B", "qwen2.5-vl-7b"),
        ("scenario", ["Multi-Image", "PROMPT-TEXT"], ["multi-image", "prompt-text"]),
        ("variant", ("Best+ROPE-CACHE", "HF-SDPA", "Baseline"), ("best+rope-cache", "hf-sdpa", "baseline")),
        ("variant", "acme_vit:Tower", "acme_vit:Tower"),
        ("tower", "hf:Qwen2-VL-2B", "hf:qwen2-vl-2b"),
        ("tower", "Qwen2.5-VL-7B+Best+mine.toml", "qwen2.5-vl-7b+best+mine.toml"),
        ("tower", "at:../Before:qwen2.5-vl-7b+best", "at:../Before:qwen2.5-vl-7b+best"),
        ("diff", ("BASELINE", "Best"), ("baseline", "best")),
        ("dtype", "BFloat16", "bfloat16"),
        ("device", "CPU", "cpu"),
        ("seam", ["ROPE"], ["rope"]),
        ("metric", "Median_*", "Median_*"),
    ],
)
def test_a_name_is_taken_in_any_case(here: Path, name: str, given: object, known: object) -> None:
    (here / "h200.json").touch()
    assert as_known({name: given, "threads": 1}) == {name: known, "threads": 1}


@pytest.mark.parametrize(("boards", "gpu", "refused"), [(True, "H100", "SM_90"), (False, ["SM_90"], ["H100"])])
def test_a_gpu_is_a_board_or_one_that_counting_answers_for_as_it_is_told(
    boards: bool, gpu: str | list[str], refused: str | list[str]
) -> None:
    """However many are named."""
    known = as_known({"gpu": gpu}, boards=boards)["gpu"]
    assert known == (gpu.lower() if isinstance(gpu, str) else [each.lower() for each in gpu])
    with pytest.raises(UsageError):
        as_known({"gpu": refused}, boards=boards)


def test_a_name_that_is_two_in_other_cases_is_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vlbench.api.known.names", lambda kind: ["rope", "Rope"])
    assert as_known({"reader": ["rope", "Rope", "ROPE"]}) == {"reader": ["rope", "Rope", "ROPE"]}


def test_python_is_told_of_a_name_without_torch_as_well(here: Path) -> None:
    *told, loaded = reported("""
import vlbench
for call in (lambda: vlbench.count("x"), lambda: vlbench.count(gpu="x"), lambda: vlbench.simulate("x")):
    try:
        call()
    except vlbench.UsageError as error:
        print(error)
""")
    assert "torch" not in ast.literal_eval(loaded)
    begun = ("tower 'x': there is no model", "gpu x: no such", "there is no scenario 'x'")
    for line, words in zip(told, begun, strict=True):
        assert line.startswith(words)


def forget_modules() -> None:
    """Those that the tests of a package here import."""
    for name in [each for each in sys.modules if each.partition(".")[0] in ("some_towers", "mapped", "spaces")]:
        del sys.modules[name]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The `__init__.py` of a package in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    forget_modules()
    (tmp_path / "some_towers").mkdir()
    (tmp_path / "some_towers/vit.py").write_text("from math import *\n")
    file = tmp_path / "some_towers/__init__.py"
    file.write_text("")
    yield file
    forget_modules()


def test_what_only_an_import_tells_is_left_to_it(package: Path) -> None:
    for name in ("some_towers.vit:floor", "os.path:join", "tests.towers.toys:Toy.forward", "torch.nn:Linear"):
        check_factory(*name.split(":"))
    with pytest.raises(UsageError, match=r"some_towers.vti cannot be imported: .*No module named 'some_towers.vti'"):
        find_factory("some_towers.vti:floor")
    with pytest.raises(
        UsageError, match=r"some_towerz.vti cannot be imported: .*No module named 'some_towerz'; did you"
    ):
        check_factory("some_towerz.vti", "floor")
    sys.modules.pop("some_towers")
    package.write_text("import sys, math\nsys.modules['some_towers.vti'] = math\n")
    assert find_factory("some_towers.vti:floor").__name__ == "floor"


def test_a_module_is_found_where_pytest_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/in_the_library.py").write_text("def make(): ...\n")
    with pytest.raises(UsageError, match="No module named 'in_the_library'"):
        check_factory("in_the_library", "make")
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = lib\n")
    check_factory("in_the_library", "make")
    assert import_root(tmp_path, "in_the_library") == tmp_path / "lib"
    with pytest.raises(UsageError, match="did you mean in_the_library:make"):
        check_factory("in_the_librray", "make")
    with pytest.raises(UsageError, match=r"as it is imported, in_the_library:make$"):
        as_known({"tower": ["lib/in_the_library.py:make"]})


NAMED_UNSEEN = {
    "local": "locals()['make'] = print",
    "of_dict": "import sys\nsys.modules[__name__].__dict__['make'] = print",
    "computed": "import sys\nsetattr(sys.modules[__name__], 'ma' + 'ke', print)",
    "by_another": "from exporting import export\nexport(__name__)",
    "by_caller": "from exporting import export_to_caller\nexport_to_caller()",
    "by_decorator": "from exporting import also\n@also\ndef other(): ...",
    "captured": "match {'a': print}:\n    case {'a': make}: pass",
    "waited": "async def make(): ...",
    "lazily": "def __getattr__(name): return print",
    "starred": "from exporting import *",
    "ligature": "def \ufb01ne(): ...",
}
EXPORTING = """
import sys
def export(name): setattr(sys.modules[name], 'make', print)
def export_to_caller(): sys._getframe(1).f_globals['make'] = print
def also(made): export(made.__module__); return made
make = print
"""


@pytest.mark.parametrize("name", NAMED_UNSEEN)
def test_names_that_a_source_does_not_show_are_not_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "exporting", raising=False)
    (tmp_path / "exporting.py").write_text(EXPORTING)
    (tmp_path / f"{name}.py").write_text(f"def first(): ...\n{NAMED_UNSEEN[name]}\n")
    named = f"{name}:{'fine' if name == 'ligature' else 'make'}"
    as_known({"tower": [named]})
    assert callable(find_factory(named))


def test_packages_and_what_cannot_be_read_are_left_to_their_import(package: Path) -> None:
    package.write_text("from .vit import floor\ndef other(): ...\n")
    (package.parent.parent / "spaces/inner").mkdir(parents=True)
    (package.parent.parent / "spaces/inner/vit.py").write_text("def make(): ...\n")
    (package.parent.parent / "too_deep.py").write_text("def other(): ...\nx = " + "-" * 60_000 + "1\n")
    for named in ("some_towers:vit.floor", "spaces.inner.vit:make", "too_deep:make"):
        as_known({"tower": [named]})
    assert callable(find_factory("some_towers:vit.floor"))
    assert callable(find_factory("spaces.inner.vit:make"))


def test_anyones_finder_is_asked(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = package.parent / "vit.py"

    class Mapping:
        """As an editable install leaves one."""

        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
            if name == "breaks":
                raise RuntimeError("a finder's own fault")
            return spec_from_file_location(name, elsewhere) if name in ("mapped", "some_towers.mapped") else None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Mapping])
    for named in ("mapped:floor", "some_towers.mapped:floor", "breaks:floor"):
        as_known({"tower": [named]})
    assert callable(find_factory("mapped:floor"))
    assert callable(find_factory("some_towers.mapped:floor"))


def test_a_package_without_a_factory_is_seen_as_well(package: Path) -> None:
    assert module_meant("some_towers") == "some_towers/__init__.py is here: did you mean some_towers:factory?"
    assert module_meant("some_towers.vit") == "some_towers/vit.py is here: did you mean some_towers.vit:factory?"
    assert [module_meant(each) for each in ("", ".", "x" * 5000, "qwen9", "\0")] == [""] * 5
    with pytest.raises(UsageError, match=r"there is no model 'some_towers'; some_towers/__init__\.py is here"):
        resolve_tower("some_towers")
