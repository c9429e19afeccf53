"""Mutants of what others write: each is refused in one sentence, or read without another figure coming of it."""

from __future__ import annotations

import json
import random
import re
import sqlite3
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.nsys.synthetic import Database, thread
from tests.nsys.test_kineto import trace
from tests.readers import test_readers as foreign
from tests.readers.samples import SAMPLES
from tests.record.test_mutants import of_bytes
from tests.untrusted.own_files import (
    Figures,
    Mutate,
    Source,
    as_json,
    checkpoint,
    of_document,
    of_header,
    of_lines,
    own_sources,
)
from vlbench.api.defaults import defaults
from vlbench.comparing.captured import judge_difference
from vlbench.errors import UsageError
from vlbench.gating.manifest import NAME, read_manifest
from vlbench.implementations.checkpoint_config import read_config
from vlbench.implementations.weights import find_tensors
from vlbench.nsys import diff, load
from vlbench.nsys.frames import Capture
from vlbench.readers import READERS, read
from vlbench.record.calibration import read_calibration
from vlbench.untrusted.pytest_settings import pytest_settings
from vlbench.version import FOLDER
from vlbench.workload.library import load_scenario, shipped_folder
from vlbench.workload.mix import read_distribution
from vlbench.workload.photos import open_picture

MUTANTS = 300
SECONDS = 5.0
MAIN = thread(100, 1)
ELSEWHERE = {
    "comparing/contents.COUNTS": "tests/record/test_mutants.py",
    "record/baseline_files.BASELINE": "tests/record/test_mutants.py",
    "record/files.RESULTS": "tests/record/test_mutants.py",
    "record/journal.JOURNAL": "tests/record/test_mutants.py",
    "revisions/environments.ANSWERED": "tests/revisions/test_environments.py",
    "patches/reading.PROJECT": "settings of a repository, which are compared whole",
    "nsys/read.CAPTURE": "what is around a trace or an export",
    "traffic/trace.LINE": "a line of recorded calls",
    "predicting/host.STORED": "shipped, and nobody hands one in",
    "record/flag_counts.STORED": "shipped, and nobody hands one in",
}
"""Kinds of files that are not mutated here, and where they are."""
PER_USER = "output_token_throughput_per_user"


def of_database(data: bytes, draw: random.Random) -> bytes:
    """A row of a capture gone, or one of its cells no figure any more."""
    connection = sqlite3.connect(":memory:")
    connection.deserialize(data)
    tables = ("RUNTIME", "KERNEL", "MEMCPY")
    table = draw.choice(("NVTX_EVENTS", "StringIds", *(f"CUPTI_ACTIVITY_KIND_{each}" for each in tables)))
    (rows,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    row = draw.randint(1, rows)
    if draw.random() < 0.2:
        connection.execute(f"DELETE FROM {table} WHERE rowid = {row}")
    else:
        column = draw.choice([each[1] for each in connection.execute(f"PRAGMA table_info({table})")])
        value = draw.choice((None, "x", b"\0", 0.5, 2**63 - 1, -(2**63)))
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = {row}", (value,))
    connection.commit()
    return connection.serialize()


def runs(path: Path) -> Figures:
    """The figures of each run of another tool; None where none is judged, of a faulty run, or it is named as unread."""
    return {
        f"{number} {name}": None if run.fault or f"{name} without p50" in run.unread else (metric.value, metric.better)
        for number, run in enumerate(read(str(path)))
        for name, metric in run.metrics.items()
    }


def against(whole: Capture, path: Path) -> Figures:
    """What is judged of a capture against the whole one; nothing where the verdict says that it is not the same."""
    judged = judge_difference(diff(whole, load(path)), "whole", "mutant")
    return {} if judged.exit_code else {row.cell: row.moves for row in judged.rows}


def way_of(text: str) -> Mutate:
    """Of lists that grow only bytes are mutated: one sample more, or an entry of a history less, is another truth."""
    if text.startswith("name,") or text == SAMPLES["github-action-benchmark history"]:
        return of_bytes
    try:
        json.loads(text)
    except ValueError:
        return of_lines
    return of_document


def capture(folder: Path) -> bytes:
    made = Database()
    for each in range(3):
        made.range(each * 1000, each * 1000 + 900, "forward", MAIN)
        for corr in range(each * 10, each * 10 + 4):
            made.launch(each * 1000 + 10 + corr, MAIN, corr)
        made.call(each * 1000 + 500, each * 1000 + 510, "cudaMemcpyAsync", MAIN, each * 10 + 8)
        made.copy(each * 1000 + 505, each * 1000 + 508, MAIN, each * 10 + 8)
        made.call(each * 1000 + 600, each * 1000 + 610, "cudaStreamSynchronize", MAIN, each * 10 + 9)
    for what, count in (("CUDA", 33), ("NVTX", 3)):
        made.add("DIAGNOSTIC_EVENT", severity=1, text=f"Number of {what} events collected: {count}.")
    return made.save(folder / "made.sqlite").read_bytes()


def picture(folder: Path, suffix: str) -> bytes:
    path = folder / f"made{suffix}"
    noise = Image.frombytes("RGB", (40, 30), random.Random(0).randbytes(3600))
    noise.save(path, **({"save_all": True, "append_images": [noise]} if suffix in (".gif", ".tiff") else {}))
    return path.read_bytes()


def sources(folder: Path) -> dict[str, Source]:
    save_file({f"visual.blocks.0.{each}": torch.zeros(2) for each in "ab"}, folder / "made.safetensors")
    config = {"model_type": "qwen2_5_vl", "vision_config": {"depth": 2, "num_heads": 4, "fullatt_block_indexes": [1]}}
    index = {"weight_map": {"visual.blocks.0.a": "a.safetensors", "visual.blocks.0.b": "b.safetensors"}}
    failing = foreign.VLLM | {"failed": 50, "completed": 150}
    spread = foreign.AIPERF | {PER_USER: foreign.AIPERF[PER_USER] | {"std": 9.0}}
    told = SAMPLES | {"vllm failing": json.dumps(failing), "aiperf": json.dumps(spread)}
    mix = json.loads(next(shipped_folder().rglob("*.json")).read_text())
    shipped = {path.stem: path.read_bytes() for path in shipped_folder().glob("*.toml")}
    entry = {"file": "a.json", "by": "Ada", "reason": "b", "date": "2025-01-01T00:00:00Z"}
    manifest = {"kind": "manifest", "schema_version": 1, "baselines": {"a.json": ["cell"]}, "removed": [entry]}
    project = b'[project]\nname = "a"\n[tool.vlbench]\ntower = "a:B"\ngpu = "sm_90"\n'
    kernels = {"kernels": 1.5, "least": 1, "most": 2, "memcpys": 0.0, "memsets": 0.0}
    calibration = {"created": "2025-01-01T00:00:00Z", "vlbench": "1", "gpu": "g", "profile": "sm_90"}
    calibration |= {"torch_version": "2.9.0", "checks": [], "error": 0.0, "out_of_sample": False, "schema_version": 1}
    calibration["entries"] = [{"operation": "aten::mm", "dtype": "float32", "size": 1, "calls": 2} | kernels]
    made = capture(folder)
    (folder / "made.json").write_bytes(as_json(trace()))
    photo = "workload/photos.PICTURE"
    return own_sources() | {
        **{
            name: Source("a.txt", text.encode(), runs, way_of(text), "readers/document.FOREIGN")
            for name, text in told.items()
        },
        "capture": Source(
            "a.sqlite", made, partial(against, load(folder / "made.sqlite")), of_database, "nsys/tables.EXPORT"
        ),
        "trace": Source(
            "a.json", as_json(trace()), partial(against, load(folder / "made.json")), kind="nsys/kineto.TRACE"
        ),
        "scenario": Source(
            "own.toml", shipped["multi-image"], lambda path: load_scenario(str(path)), of_lines,
            "workload/library.SCENARIO",
        ),
        "distribution": Source(
            "a.json", as_json(mix), lambda path: read_distribution(str(path)), kind="workload/mix.DISTRIBUTION"
        ),
        "calibration": Source("a.json", as_json(calibration), read_calibration, kind="record/calibration.CALIBRATION"),
        "manifest": Source(NAME, as_json(manifest), lambda path: read_manifest(path.parent)),
        "project": Source(
            "pyproject.toml", project, lambda path: defaults(path.parent), of_lines, "api/defaults.PROJECT"
        ),
        "settings": Source(
            "setup.cfg", b"[tool:pytest]\ntestpaths =\n    tests\n    more\n",
            lambda path: pytest_settings(path.parent), of_lines, "untrusted/pytest_settings.SETTINGS",
        ),
        "config": Source(
            "config.json", as_json(config), checkpoint(lambda path: read_config(path.parent)),
            kind="untrusted/checkpoints.DOCUMENT",
        ),
        "index": Source("model.safetensors.index.json", as_json(index), checkpoint(_tensors)),
        "weights": Source("a.safetensors", (folder / "made.safetensors").read_bytes(), checkpoint(_tensors), of_header),
        **{
            suffix: Source(f"a{suffix}", picture(folder, suffix), open_picture, of_bytes, photo)
            for suffix in (".jpg", ".png", ".gif", ".webp", ".tiff", ".bmp")
        },
    }  # fmt: skip


def _tensors(path: Path) -> object:
    return find_tensors(path.parent)


def outcome(source: Source, path: Path, data: bytes) -> Figures | None:
    """The figures that are read; None where it is refused, which has to be in one sentence and at once."""
    path.write_bytes(data)
    begun = time.process_time()
    try:
        found = source.reader(path)
    except UsageError as refusal:
        assert "\n" not in str(refusal)  # noqa: PT017
        return None
    finally:
        assert time.process_time() - begun < SECONDS
    return found if isinstance(found, dict) else {}


def test_every_kind_of_file_that_is_read_is_mutated(tmp_path: Path) -> None:
    """A new reader is found here before anybody hands it a file."""
    found = sources(tmp_path)
    kinds = {
        f"{path.relative_to(FOLDER).with_suffix('')}.{name}"
        for path in FOLDER.rglob("*.py")
        for name in re.findall(r"^(\w+) = Kind\(", path.read_text(), re.MULTILINE)
    }
    assert kinds == {each.kind for each in found.values() if each.kind} | ELSEWHERE.keys()
    assert READERS.keys() <= {name.split()[0] for name in found}


@pytest.mark.slow
def test_no_mutant_is_read_as_something_else(tmp_path: Path) -> None:
    wrong = []
    found = sources(tmp_path)
    for name, source in found.items():
        folder = tmp_path / name
        folder.mkdir()
        path = folder / source.name
        before = outcome(source, path, source.data)
        assert before is not None, name
        alike = sum(each.split()[0] == name.split()[0] for each in found)  # of what one reader reads
        for seed in range(MUTANTS // alike):
            draw = random.Random(f"{name}/{seed}")
            mutate = of_bytes if seed % 2 else source.by_structure
            data = mutate(source.data, draw)
            try:
                after = outcome(source, path, data)
            except Exception as error:  # whatever is no refusal is what is looked for
                wrong.append(f"{name} {seed}: {type(error).__name__}: {error}"[:300])
                continue
            kept = (
                {} if after is None or mutate is of_bytes else {each: after[each] for each in before if each in after}
            )
            wrong += [
                f"{name} {seed}: {each} was {before[each]} and is {value}"
                for each, value in kept.items()
                if value is not None and value != before[each]
            ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("asv", '"stats_q_25"', '["stats_q_25"]', "more values than result_columns has names"),
        ("lm-eval", '"mmmu_acc": true', '"mmmu_acc": ""', "higher_is_better of 'mmmu_val mmmu_acc' is ''"),
        ("google-benchmark", '"real_time": 12.0', '"real_tim": 12.0', "'BM_a/8' lacks a repetition or its real_time"),
        ("google-benchmark", '"repetitions": 3', '"repetitions": 4', "'BM_a/8' lacks a repetition"),
    ],
)
def test_what_mutants_found(tmp_path: Path, name: str, old: str, new: str, sentence: str) -> None:
    path = tmp_path / "a.txt"
    assert old in SAMPLES[name]
    path.write_text(SAMPLES[name].replace(old, new, 1))
    with pytest.raises(UsageError, match=sentence):
        read(str(path))
