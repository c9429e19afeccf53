"""What the load generators of vLLM and SGLang have in common: an object is one run, and names its figures alike.

Throughputs and, of each latency, the median and the percentiles are read. Means are left out and named, as one slow
request moves them; the duration is left out, as it is the throughput once more.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from math import inf
from typing import Any

from vlbench.errors import UsageError
from vlbench.readers.document import Document, Reader, amount, check_figures, check_told, count, failures, objects_with
from vlbench.readers.pasted import number_in
from vlbench.record.directions import Better, words_of
from vlbench.record.runs import Metric, Run, collect

LATENCY = re.compile(r"(median|p\d+(\.\d+)?)_\w+_ms")
THROUGHPUT = re.compile(r"(request|input|output|total|total_token|input_sequence)_(throughput|goodput)")
WORKLOAD = words_of(
    "backend endpoint_type model_id tokenizer_id model dataset_name dataset_path label num_prompts "
    "request_rate burstiness max_concurrency random_input_len random_output_len random_range_ratio "
    "sharegpt_output_len random_prefix_len total_input_tokens total_input total_input_text_tokens "
    "total_input_vision_tokens total_input_sequences "
    "ramp_up_strategy ramp_up_start_rps ramp_up_end_rps seed lora_name lora_modules lora_assignment temperature top_p "
    "top_k min_p ignore_eos best_of use_beam_search logprobs return_logprob sampling_params extra_body "
    "extra_request_body num_warmups warmup_requests dataset tokenizer tokenizer_mode endpoint disable_stream "
    "disable_ignore_eos apply_chat_template flush_cache"
)
"""What was asked for: runs that differ in any of it measure different things."""
ARGUMENT = re.compile(
    r"(random|sharegpt|custom|hf|sonnet|spec_bench|prefix_repetition|blazedit|gsp|mooncake)_\w+|goodput_(config|slo)\w*"
    r"|(image|video)_(count|resolution|format|content)|\w+_penalty|(input|output|prompt|prefix|context|max_model)_len"
)
"""As much: the settings of the data sets and of sampling, by the first or last words of their options."""
OF_SERVER = ("model_path", "tokenizer_path")
"""SGLang tells the model in what it knows of its server alone."""
ANSWERED = words_of("total_output_tokens total_output total_output_tokens_retokenized")
"""What came back. Sampling moves it by a few tokens."""
UNBOUNDED = words_of("request_rate max_concurrency ramp_up_start_rps ramp_up_end_rps")
"""Where infinity is a setting."""
IGNORED = words_of(
    "date duration completed failed errors success input_lens output_lens ttfts tpots itls e2els "
    "generated_texts start_times queue_times latencies concurrency accept_length server_info max_output_tokens_per_s "
    "max_concurrent_requests rtfx spec_decode tag rps_change_events drafts draft_tokens accepted_tokens"
)
"""What follows from other keys, lists each request, or says nothing of speed."""
SPREAD = re.compile(
    r"(mean|std|max|min)_\w+_ms|max_\w*tokens_per_s|spec_decode_\w+|acceptance_(rate|length)|position_\d+"
)
"""Means and spreads: one slow request moves them, and medians and percentiles are read. Then drafts, seen in those."""
SIGNED = words_of("seed top_k max_concurrency logprobs presence_penalty frequency_penalty")
"""Of the keys that are known, those that may be below zero."""
PER_REQUEST = ("input_lens", "errors", "success")
"""Lists that have an entry for each request that was sent."""
WORK = {
    "request_throughput": "completed",
    "input_throughput": "total_input_tokens",
    "output_throughput": "total_output_tokens",
}
"""The rates that are work over the duration."""
MEAN = re.compile(r"mean_\w+_ms")
LOST = words_of(
    "failed failures errors lost dropped timeouts timedout aborted cancelled canceled rejected unanswered unfinished "
    "incomplete"
)
"""Words of a key that counts requests without an answer, whatever a version or a script calls it."""
LOST_ONE = words_of("error failure timeout")
"""As much beside a word of `COUNTED`; alone, and beside others, a setting, a text or the error of a figure."""
COUNTED = words_of("num number n count counts rate")
OF_REQUESTS = words_of("request requests req reqs total of http server client")
"""What else such a key may say. With any other word (`max_failures`, `rejected_tokens`) it may be about anything."""


def serving_reader(name: str, reads: str, telling: set[str]) -> Reader:
    """The reader of files in which every object has the `telling` keys, and is one run."""

    def read(document: Document) -> list[Run]:
        return [serving_run(document.where(i), each) for i, each in enumerate(document.objects)]

    return Reader(name, reads, objects_with(telling), read, frozenset(telling))


def serving_run(source: str, result: dict[str, Any]) -> Run:
    """The run that `result` describes. A latency of 0 had nothing to measure, such as gaps between single tokens.

    Requests that were lost make it a run without figures; keys that nobody knows are named in `unread`.
    """
    if twice := [name for name in result if f"{name}:" in result]:
        raise UsageError(f"{source}: {twice[0]!r:.60} is there with and without a colon; give it as the tool wrote it")
    result = {name.removesuffix(":"): value for name, value in result.items()}  # vLLM once wrote `request_goodput:`
    asked = {name for name in result if name in WORKLOAD or ARGUMENT.fullmatch(name)}
    asked |= {"goodput"} if isinstance(result.get("goodput"), str | list | dict) else set()  # a number was measured
    metrics, unread = [], []
    for name, value in result.items():
        latency, rate = LATENCY.fullmatch(name), THROUGHPUT.fullmatch(name)
        if value is None or name in asked | ANSWERED | IGNORED or SPREAD.fullmatch(name):
            continue
        if not (latency or rate):
            unread.append(name)
        elif (figure := amount(source, name, value)) or rate:
            unit = "ms" if latency else "requests/s" if name.startswith("request") else "tokens/s"
            better = Better.LOWER if latency else Better.HIGHER
            metrics.append(Metric(name, figure, unit, better, _samples(source, name, result)))
    check_figures(source, result, UNBOUNDED, SIGNED.union(unread))
    conditions = {key: str(result[key]) for key in sorted(asked) if result[key] is not None}
    if result.get("request_goodput") is not None:
        conditions.setdefault("goodput", "asked for")
    if isinstance(server := result.get("server_info"), dict):
        conditions |= {f"server_{key}": str(server[key]) for key in OF_SERVER if server.get(key) is not None}
    if lengths := result.get("input_lens"):
        conditions["input_lens"] = sha256(str(lengths).encode()).hexdigest()[:8]
    answered = {key: amount(source, key, result[key]) for key in sorted(ANSWERED) if result.get(key) is not None}
    if result.get("num_prompts") is None and result.get("completed") is not None:
        answered["completed"] = count(source, "completed", result["completed"])
    fault = lost_requests(source, result) or told_lost({name: result[name] for name in unread})
    if not fault:  # a request that was lost may be in one figure and not in another
        check_told(source, metrics, result, WORK, "duration")
    run = collect(source, metrics, conditions, fault, unread, answered)
    return replace(run, left_out=tuple(name for name in result if MEAN.fullmatch(name) and result[name] is not None))


def lost_requests(source: str, result: dict[str, Any]) -> str:
    """How many requests gave no answer, by whichever key tells most of them; "" where none was lost."""
    requested, done, failed = (
        None if result.get(key) is None else count(source, key, result[key])
        for key in ("num_prompts", "completed", "failed")
    )
    each = {key: [] if result.get(key) is None else result[key] for key in PER_REQUEST}
    for key, told in each.items():
        if not isinstance(told, list) or (key == "success" and not all(isinstance(one, bool) for one in told)):
            raise UsageError(f"{source}: {key} is {told!r:.40}, not a list of what each request came to; run it again")
    answered = each["success"].count(True)
    if each["success"] and done is not None and answered != done:
        raise UsageError(f"{source}: success has {answered} true and completed is {done}; was the file edited?")
    if done is None and (failed is None or "completed" in result):
        raise UsageError(f"{source}: completed is not told, so requests may have been lost; run it again")
    if requested is not None and done is not None and done > requested:
        raise UsageError(f"{source}: completed is {done} of num_prompts {requested}; was the file edited?")
    sent = max(requested or 0, *map(len, each.values()))
    lost = max(failed or 0, sum(map(bool, each["errors"])), 0 if done is None else sent - done)
    return failures(max(lost, len(each["success"]) - answered))


def told_lost(unread: Mapping[str, object]) -> str:
    """That requests were lost, where a key says so that no table knows; "" where none does."""
    for name, value in unread.items():
        number = sum(map(bool, value)) if isinstance(value, list) else number_in(str(value)) or 0
        if _counts_lost(name) and 0 < number < inf:
            return f"{name:.60} {'holds' if isinstance(value, list) else 'is'} {number:g}, so requests were lost"
    return ""


def _counts_lost(name: str) -> bool:
    """Is a key by its words, which may stand as in camelCase, surely a count or a share of lost requests?"""
    plain = re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower().replace("timed_out", "timedout")
    words = set(re.findall("[a-z]+", plain))
    counts = words & LOST or (words & LOST_ONE and words & COUNTED)
    return bool(counts) and words <= LOST | LOST_ONE | COUNTED | OF_REQUESTS


def _samples(source: str, name: str, result: dict[str, Any]) -> tuple[float, ...]:
    """Milliseconds to the first token of each request, which detailed files keep in seconds; 0 where it failed."""
    times = result.get("ttfts")
    if name != "median_ttft_ms" or not isinstance(times, list):
        return ()
    for time in times:
        if isinstance(time, bool) or not isinstance(time, int | float):
            raise UsageError(f"{source}: ttfts holds {time!r:.40}, which is no time; run it again")
    return tuple(1000 * time for time in times if time)
