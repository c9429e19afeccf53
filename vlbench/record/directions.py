"""Which way a figure is good, by the words of its name and unit: a table of whole words, and no guess.

`tokens/s` is a rate and good when it is high, `ms/token` is a time and good when it is low; a name that holds no word
of the table, or words of both kinds, has no direction until somebody says it.
"""

import re
from enum import StrEnum
from itertools import pairwise


def words_of(text: str) -> frozenset[str]:
    """The words of a table, written with spaces between them."""
    return frozenset(text.split())


_TIMES = words_of("ns us µs ms s sec secs second seconds min minute minutes h hour hours")
_SECOND = ("s", "sec", "second")
_COUNTS = words_of(
    "image images frame frames token tokens tok toks req reqs request requests sample samples item items it "
    "its iter iters iteration iterations step steps call calls query queries op ops video videos patch "
    "patches"
)
"""What is got done: so many of them in a time are a rate."""
_ONE = words_of("image frame token request sample item iteration step call query op video patch")
"""Of these: `steps_s` is a rate, and `step_s` as likely how long one takes."""
_DATA = words_of(
    "b byte bytes kb mb gb tb kib mib gib bit bits kbit kbits mbit mbits gbit gbits flop flops gflop gflops tflop "
    "tflops pflop pflops"
)
_WORK = (
    _COUNTS
    | _DATA
    | words_of(
        "img imgs pic pics picture pictures batch batches prompt prompts document documents doc docs page pages "
        "sequence sequences seq seqs clip clips example examples instance instances epoch epochs word words char "
        "chars character characters row rows record records inference inferences prediction predictions encodes "
        "decodes forwards run runs job jobs task tasks message messages packet packets transaction transactions "
        "tile tiles crop crops pixel pixels question questions answer answers generation generations embedding "
        "embeddings vector vectors completion completions round rounds"
    )
)
"""Of which more in a time are better. Of any other noun, such as crashes, nobody can say."""
_DONE = words_of("processed completed generated served encoded decoded finished done")
"""Between what is counted and the time."""
_UNDONE = words_of(
    "discarded padding padded pad recomputed duplicate duplicated corrupt corrupted truncated invalid bad slow stale "
    "throttled blocked queued pending waiting unfinished incomplete expired excess redundant repeated unused masked "
    "ignored reverted xx"
)
"""Makes of what is counted no work."""
_HARM = words_of(
    "error errors failure failures fault faults miss misses wait waits sync syncs stall stalls drop drops "
    "dropped retry retries timeout timeouts preemption preemptions"
)
_COSTS = words_of("joule joules watt watts dollar dollars usd gb gib")
_NO_WORK = _HARM | words_of(
    "failed rejected aborted cancelled canceled skipped lost wasted evictions evicted switches migrations leaked "
    "leaks growth swapped cost price usd dollar dollars joule joules allocations allocs"
)
"""Done so often in a time, it is no rate of work."""
_SAYS_NOTHING = words_of(
    "saved saving savings improvement reduction free available uptime mtbf between scale limit slo deadline timestamp "
    "start end interval bits arrival target headroom left remaining spare unused hidden overlap overlapped freed "
    "reclaimed lifetime ttl sla attainment attained compliance inverse reciprocal neg negative minus"
)
"""Turns what other words say around, or makes a setting of a measurement: then nobody guesses."""
_ASKED = words_of("launches readbacks uploads copies")
"""Of a GPU: fewer are better, but of so many in a second nobody can say."""
_LOWER = (
    _TIMES
    | _HARM
    | words_of(
        "latency time times duration elapsed delay ttft tpot itl e2el runtime walltime wall overhead loss "
        "perplexity ppl wer cer b byte bytes kb mb gb tb kib mib gib memory rss vram footprint cost joule joules "
        "allocations allocs"
    )
    | _ASKED
)
_HIGHER = words_of(
    "throughput tput goodput qps rps fps tps gflops tflops pflops mfu hfu iops bandwidth accuracy acc speedup "
    "score f1 bleu rouge recall precision efficiency occupancy"
)
_WITHIN = re.compile(r"(within|under|below|above|over|than)[\W_]*\d")
"""So many of something are: a share, whatever is measured there."""
_ENDS = _HARM | words_of("crash crashes oom exhaustion death deadlock")
"""A time until one of these is good when it is long."""
_AMOUNTS = words_of(
    "latency latencies ttft tpot itl e2el duration elapsed runtime walltime throughput tput goodput qps rps fps tps "
    "count counts"
)
_DIFFERENCE = words_of(
    "delta deltas diff difference change gain gains overhead loss drift skew offset error errors jitter slack margin "
    "regression timeout timeouts"
)
"""Of two amounts, or a setting of which -1 means none."""
_ALSO_STATISTICS = words_of("min max b h")
"""Of a unit they are minutes, bytes and hours; of a name they may be anything."""
_PAIRS = {
    **dict.fromkeys((("hit", "rate"), ("cache", "hit"), ("success", "rate"), ("acceptance", "rate")), "higher"),
    **dict.fromkeys((("miss", "rate"), ("error", "rate"), ("failure", "rate"), ("drop", "rate")), "lower"),
}


class Better(StrEnum):
    """Which way is good."""

    LOWER = "lower"
    HIGHER = "higher"

    @classmethod
    def _missing_(cls, value: object) -> "Better | None":
        return EARLIER.get(str(value))


EARLIER = {"less": Better.LOWER, "more": Better.HIGHER}
"""What earlier files say, and people may."""


def better_of(name: str, unit: str = "") -> Better | None:
    """Which way the figure `name` in `unit` is good, as in `images_per_s`; None where its words do not say."""
    both = [_words(name), _words(unit)]
    named = [word for word in both[0] if word not in _ALSO_STATISTICS]
    if not _SAYS_NOTHING.isdisjoint(named) or any("per" in words[:1] + words[-1:] for words in both):
        return None
    if _WITHIN.search(name.lower()) or any(map(_is_open, both)):
        return None
    if "to" in named and not _ENDS.isdisjoint(named[named.index("to") :]):
        return None
    if "per" not in named and not _NO_WORK.isdisjoint(named):
        return Better.LOWER
    found = {way for words in (named, both[1]) if (way := _rate(words) or _word(words)) is not None}
    if Better.HIGHER in found and not _UNDONE.isdisjoint(named + both[1]):
        return None
    return found.pop() if len(found) == 1 else None


def is_amount(name: str, unit: str = "") -> bool:
    """Is the figure `name` in `unit` a time, a rate or a count by its words, and no difference of two?

    None of them is below zero.
    """
    named, measured = ([word for word in _words(name) if word not in _ALSO_STATISTICS], {*_words(unit)})
    if not (_DIFFERENCE | _SAYS_NOTHING).isdisjoint({*named, *measured}):
        return False
    is_unit = not measured.isdisjoint(_TIMES | _COUNTS | _DATA)
    return is_unit or not _AMOUNTS.isdisjoint(named) or (bool(named) and named[-1] in _TIMES)


def with_micro_sign(unit: str) -> str:
    """The unit with the micro sign where a Greek letter stands that looks like it."""
    return unit.replace("\u03bc", "\u00b5")


def _words(text: str) -> list[str]:
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", " ", with_micro_sign(text).replace("/", " per "))
    return re.findall(r"[^\W\d_]+\d*(?![^\W\d_])|[^\W\d_]+", apart.lower())


def _is_open(words: list[str]) -> bool:
    """`X_s` of an X that may be got done in a second, or take the seconds."""
    noun = words[-2] if len(words) > 1 and words[-1] in _SECOND and "per" not in words else ""
    is_unknown = noun not in _WORK | _TIMES | _LOWER | _NO_WORK | _HIGHER
    return noun in _ONE or (is_unknown and noun.endswith("s") and not noun.endswith("ss"))


def _rate(words: list[str]) -> Better | None:
    """`X per Y`, or `X_s`: by whether work, harm or a cost is divided by a time, or a time by work."""
    if "per" in words and 0 < (at := words.index("per")) < len(words) - 1:
        above, below = words[at - 1], words[at + 1]
        if above in _DONE and at > 1:
            above = words[at - 2]
        if not _NO_WORK.isdisjoint(words[:at]):
            return Better.LOWER
        if below not in _TIMES and (above in _TIMES or above in _LOWER):
            return Better.LOWER
        return Better.HIGHER if below in _TIMES | _COSTS and above in _WORK | _HIGHER else None
    if len(words) > 1 and words[-1] in _SECOND:
        noun = words[-2]
        return Better.HIGHER if noun in _COUNTS | _DATA or (noun in _WORK and noun.endswith("s")) else None
    return None


def _word(words: list[str]) -> Better | None:
    if "per" in words:
        return None
    for pair in pairwise(words):
        if pair in _PAIRS:
            return Better(_PAIRS[pair])
    if "rate" in words:
        return None
    ways = {Better.LOWER for word in words if word in _LOWER} | {Better.HIGHER for word in words if word in _HIGHER}
    return ways.pop() if len(ways) == 1 else None
