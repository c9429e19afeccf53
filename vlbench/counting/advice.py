"""What removes what was seen, a flag of ours where one does: by event, torch operation and expression.

Flags say so of themselves; the pattern with the lowest rank counts, and where none fits there is no advice. All of them
are about waits and plans: what is sent without waiting costs a launch, and no flag of ours takes that away.
"""

import re
from dataclasses import dataclass

from vlbench.implementations.optimized import OPTIMIZATIONS
from vlbench.implementations.optimized.advice import READ_BY_MASK, REPEATS, SCALAR, WHOLE, InCode
from vlbench.record.counts import Counts
from vlbench.record.grouping import gathered
from vlbench.record.site import Site

DEVICE_OF = re.compile(r"\b(?:device\s*=\s*)?[\w.]+\.device\b")
"""Where a tensor goes says nothing of what it is."""
SENDS_FASTER = frozenset({"pinned-h2d"})
"""Flags that make a copy cheaper, and leave it where it is."""
FLOATS = frozenset({"number", "numbers"})
ONE = frozenset({"truth value", "integer", "number"})
UNFLAGGED = (
    InCode("pick by positions, where the host knows them, in place of a mask", "read-back", READ_BY_MASK),
    InCode("give output_size, the sum of the repeats, where the host knows it", "read-back", REPEATS, rank=1),
    InCode("let flash attend, or bring sizes onto a ladder: cuDNN builds a plan for each new one", "attention plan"),
    InCode("leave it out: freed memory is used again without it", "synchronize", frozenset({"torch.cuda.empty_cache"})),
    InCode("leave it out: a stream works in order, and another one waits by wait_event", "synchronize", rank=1),
)
"""What no flag of ours removes."""


@dataclass(frozen=True)
class Pattern(InCode):
    """A cost that is known by sight, and what removes it."""

    flags: tuple[str, ...] = ()
    """Flags of ours that remove it, each by itself; none where ours have nothing of the kind."""

    def fits(self, cause: Site) -> bool:
        """Whether this cost shows at `cause`."""
        return (
            (cause.blocking or cause.event == "attention plan")
            and cause.event == self.event
            and (self.operations is None or cause.operation in self.operations)
            and (self.floats or cause.content not in FLOATS)
            and re.search(self.expression, DEVICE_OF.sub("", cause.expression), re.IGNORECASE) is not None
        )


def _patterns() -> tuple[Pattern, ...]:
    flags: dict[InCode, tuple[str, ...]] = dict.fromkeys(UNFLAGGED, ())
    for one in OPTIMIZATIONS.values():
        for each in one.advice:
            if isinstance(each, InCode):
                flags[each] = (*flags.get(each, ()), one.flag)
    found = (Pattern(**vars(each), flags=names) for each, names in flags.items())
    return tuple(sorted(found, key=lambda pattern: pattern.rank))


PATTERNS = _patterns()


def advise(cause: Site) -> Pattern | None:
    """The pattern of `cause`, which says what removes it; None where nothing is known that would."""
    return next((pattern for pattern in PATTERNS if pattern.fits(cause)), None)


def plain(cause: Site) -> str:
    """What removes checks, single numbers and copies that repeat each other, whatever they are called, or ""."""
    if not cause.blocking:
        return ""
    if cause.event == "synchronize":
        needed = cause.content == "read-back"
        return "keep the values on the host: a read-back before it, which does not wait, needs it" if needed else ""
    if cause.event == "read-back" and cause.operation in SCALAR and cause.content == "truth value":
        once = "let the device choose, as torch.where does: the answer waits for the queue"
        many = "gather the answers on the device and ask once: each answer waits for the queue"
        return f"leave the check out, or {many if cause.times > 1 else once}"
    if cause.event == "implicit upload" and cause.operation in WHOLE:  # the value, where the index is on the device
        return "fill by the index, x.index_fill_(0, index, value): a number that is assigned is copied there first"
    whole = {"tensor": "the same tensor", "values": "the same values"}.get(cause.same)
    if cause.event == "upload" and cause.content in ONE and not whole:
        if cause.operation == "aten::copy_":
            return "fill it, y[n].fill_(value): that is done on the device, what is assigned is copied to it"
        return "make it on the device, torch.full(shape, value, device=...): that sends nothing"
    if cause.times < 2:
        return ""
    if cause.event == "read-back":
        if cause.same == "elements":
            return "read the tensor back once with .tolist(): its elements come one by one"
        return f"read it back once, before the loop: {whole} {cause.times:,} times" if whole else ""
    return f"send it once, before the loop: {whole} {cause.times:,} times" if whole else ""


def sites_of(counts: Counts) -> tuple[Site, ...]:
    """Every line that waits or copies, the most frequent first, with what removes it."""
    anywhere = {"stage": "", "times": 0, "bytes": 0}
    found = gathered((cause.model_copy(update=anywhere), cause) for cause in counts.causes)
    sites = (_site(place, causes) for place, causes in found.items())
    return tuple(sorted(sites, key=lambda site: -site.times))


def _site(place: Site, causes: list[Site]) -> Site:
    total = {"times": sum(cause.times for cause in causes), "bytes": sum(cause.bytes for cause in causes)}
    site = place.model_copy(update=total)
    if site.allowed:
        return site  # it is meant to stay
    advice, again = advise(place), plain(site)
    if again and (advice is None or not _treats_the_cause(site, advice)):
        kept = tuple(flag for flag in (advice.flags if advice else ()) if flag not in SENDS_FASTER)
        return site.model_copy(update={"flags": kept, "advice": again})
    return site.model_copy(update={"flags": advice.flags, "advice": advice.words}) if advice else site


def _treats_the_cause(site: Site, advice: Pattern) -> bool:
    """Does it do without what repeats, rather than make each time cheaper? Values that the host has need no copy."""
    return site.event == "read-back" and site.same != "elements"
