"""lmms-eval's and lm-evaluation-harness's results, saved as JSON or printed as tables: one file is one run.

A score between 0 and 1 of which more is better is judged as a share of right answers, which is the most that a mean of
such scores can vary; one of which less is better, such as bits per byte, has no such bound.
How many were asked is told in the JSON; a printed table tells a standard error, which says as much.
https://github.com/EvolvingLMMs-Lab/lmms-eval/blob/main/lmms_eval/evaluator.py
https://github.com/EleutherAI/lm-evaluation-harness/blob/main/lm_eval/result_schema.py
"""

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from vlbench.errors import UsageError
from vlbench.readers.document import Document, Reader, count, finite, unread_keys
from vlbench.readers.pasted import cells, pasted_number
from vlbench.record.directions import Better, words_of
from vlbench.record.runs import Metric, Run, collect

OF_FILE = words_of(
    "results groups group_subtasks configs versions n-shot higher_is_better n-samples samples config git_hash "
    "git_branch date pretty_env_info transformers_version lm_eval_version lmms_eval_version upper_git_hash "
    "tokenizer_pad_token tokenizer_eos_token tokenizer_bos_token eot_token_id max_length model_source model_name "
    "model_name_sanitized model_configs start_time end_time system_instruction system_instruction_sha "
    "fewshot_as_multiturn chat_template chat_template_sha task_hashes total_evaluation_time_seconds throughput "
    "usage efficiency"
)
IGNORED = re.compile(
    r"alias|name|sample_len|sample_count| |\w+_stderr(_clt|_clustered)?|paired_\w+"
    r"|\w+_(expected_accuracy|consensus_accuracy|internal_variance|consistency_rate)"
)
"""Names and counts, and what says how sure a score is."""
QUESTIONS = words_of("dataset_path dataset_name test_split fewshot_split num_fewshot generation_kwargs repeats")
"""What the settings of a task say of its questions."""
SETTINGS = words_of("limit num_fewshot gen_kwargs")
"""What was set for all tasks."""
PROMPTS = words_of("system_instruction chat_template")
"""Texts around each question, which are told by a hash."""
ARROWS = {"↑": Better.HIGHER, "↓": Better.LOWER}


def _recognises(document: Document) -> bool:
    if document.objects:
        return len(document.objects) == 1 and READER.telling <= document.objects[0].keys()
    return any(map(_is_header, document.lines))


def _read(document: Document) -> list[Run]:
    return [_saved(document, document.objects[0]) if document.objects else _printed(document)]


def _saved(document: Document, whole: dict[str, Any]) -> Run:
    source = document.source
    tables = {key: whole.get(key) or {} for key in ("results", "groups", "n-samples", "n-shot", "versions")}
    tables["higher_is_better"] = whole.get("higher_is_better") or {}
    for key, table in tables.items():
        if not isinstance(table, dict) or (key in ("results", "groups") and not _are_tables(table)):
            raise UsageError(f"{source}: {key} is {table!r:.40}, not entries by task; is the file whole and unchanged?")
    metrics: list[Metric] = []
    unread = list(unread_keys(whole, OF_FILE))
    for task, scores in (tables["groups"] | tables["results"]).items():
        ways = tables["higher_is_better"].get(task)
        told = tables["n-samples"].get(task)
        asked = told.get("effective") if isinstance(told, dict) else scores.get("sample_len")
        for key, value in scores.items():
            metric, _, kind = key.partition(",")
            if IGNORED.fullmatch(metric):
                continue
            name = f"{task} {metric}" + (f",{kind}" if kind not in ("", "none") else "")
            if isinstance(value, bool) or not isinstance(value, int | float):
                unread += [name] * (value not in (None, "", " ", []))
                continue
            up = ways.get(metric) if isinstance(ways, dict) else None
            if not isinstance(up, bool | None):
                raise UsageError(f"{source}: higher_is_better of {name!r:.60} is {up!r:.20}; write true or false")
            better = None if up is None else Better.HIGHER if up else Better.LOWER
            error = scores.get(f"{metric}_stderr,{kind}")
            questions = 0 if asked is None else count(source, f"the samples of {task}", asked)
            metrics.append(_metric(document, name, finite(source, name, value), better, questions, error))
    return collect(source, metrics, _asked(whole), unread=unread)


def _asked(whole: dict[str, Any]) -> dict[str, str]:
    """What was asked and how: scores of other questions are no change."""
    told: dict[str, object] = {}
    for key in ("n-shot", "versions", "task_hashes"):
        told |= {f"{key} of {task}": value for task, value in _table(whole.get(key)).items()}
    for task, settings in _table(whole.get("configs")).items():
        told |= {f"{key} of {task}": value for key, value in _table(settings).items() if key in QUESTIONS}
    told |= {key: value for key, value in _table(whole.get("config")).items() if key in SETTINGS}
    for key in PROMPTS:
        text = whole.get(key) or whole.get(f"{key}_sha")
        told[key] = text and sha256(str(text).encode("utf-8", "replace")).hexdigest()[:8]
    told["fewshot_as_multiturn"] = whole.get("fewshot_as_multiturn") or None
    return {key: str(value) for key, value in told.items() if value not in (None, "", {}, [])}


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _printed(document: Document) -> Run:
    found: dict[Metric, None] = {}  # the same again says no more
    unread: list[str] = []
    asked: dict[str, set[str]] = {}
    for row in _rows(document):
        if isinstance(row, str):
            unread.append(f"{row:.60}")
            continue
        name = row["name"]
        for key, column in (("n-shot", "n-shot"), ("versions", "Version")):
            if row.get(column):
                asked.setdefault(f"{key} of {row['task']}", set()).add(row[column])
        value, error = pasted_number(row["Value"]), pasted_number(row.get("Stderr") or "")
        if value is None:
            unread.append(f"{name}, which is {row['Value']!r:.20}")
            continue
        found[_metric(document, name, finite(document.source, name, value), ARROWS.get(row["way"]), 0, error)] = None
    told = {key: " and ".join(sorted(values)) for key, values in asked.items()}
    return collect(document.source, list(found), told, unread=unread)


def _rows(document: Document) -> Iterator[dict[str, str] | str]:
    """The columns of each score of the printed tables, with its name and task; a row that does not fit, as it is."""
    header: list[str] = []
    task = ""
    for line in document.lines:
        row = cells(line)
        if _is_header(line):
            header, task = row, ""
            header[header.index("Metric") + 1 : header.index("Value")] = ["way"]
        elif not header or (line and not set(line) - set("|-: ")):
            continue
        elif len(row) == len(header):
            columns = dict(zip(header, row, strict=True))
            task = row[0].removeprefix("-").strip() or task
            kind = columns.get("Filter", "none")
            name = f"{task} {columns['Metric']}" + (f",{kind}" if kind not in ("", "none") else "")
            yield columns | {"task": task, "name": name}
        elif "|" in line:
            yield line
        elif line:
            header = []


def _metric(
    document: Document, name: str, value: float, better: Better | None, questions: int, error: object
) -> Metric:
    known = document.directions.get(name) or better or document.better(name)
    unsaid = error in (None, "N/A") or isinstance(error, list)
    spread = 0.0 if unsaid else finite(document.source, f"stderr of {name}", error)
    is_share = 0 <= value <= 1 and known is Better.HIGHER
    if is_share and not 0 <= spread <= 1:
        raise UsageError(f"{document.source}: stderr of {name!r:.60} is {spread:g}, which no share has; run it again")
    return Metric(
        name, value, "share" if is_share else "", known, questions=questions * is_share, error=spread * is_share
    )


def _are_tables(table: dict[str, Any]) -> bool:
    return all(isinstance(each, dict) for each in table.values())


def _is_header(line: str) -> bool:
    row = cells(line)
    return row[:1] in (["Tasks"], ["Groups"]) and {"Metric", "Value"} <= set(row)


READS = "lmms-eval's and lm-evaluation-harness's results, as JSON or printed"
READER = Reader("lm-eval", READS, _recognises, _read, frozenset({"results", "versions", "n-shot"}))
