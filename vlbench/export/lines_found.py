"""Lines that a count or a lint of captures found, for code scanning."""

from collections.abc import Iterable, Iterator, Sequence

from vlbench.export.rules import rule_name
from vlbench.export.sheet import LineFound
from vlbench.judging.words import readable_bytes
from vlbench.record.capturable import Blocker
from vlbench.record.site import Site, outside_of_helpers


def lines_found(rows: Iterable[tuple[str, Sequence[Site | Blocker]]]) -> list[LineFound]:
    """Every line of each row that waits, copies, has a plan built or ends a capture; a row has a name and sites."""
    return [found for cell, sites in rows for found in _of_row(cell, sites)]


def _of_row(cell: str, sites: Sequence[Site | Blocker]) -> Iterator[LineFound]:
    chains = outside_of_helpers((each.where, *each.callers) for each in sites)
    for each in sites:
        chain, is_site = (each.where, *each.callers), isinstance(each, Site)
        kind = each.event if isinstance(each, Site) else each.kind
        allowed, blocks = (each.allowed, each.blocking) if isinstance(each, Site) else ("", True)
        yield LineFound(
            rule=rule_name("count" if is_site else "capture", kind),
            level="error" if not is_site else "warning" if blocks and not allowed else "note",
            chain=(chains[chain], *chain),
            told=f"{kind}: {each.expression or each.operation}",
            often=f"{each.times:,}x" + (f", {readable_bytes(each.bytes)}," if each.bytes else ""),
            cell=cell,
            advice=each.advice + (f": {' or '.join(each.flags)}" if each.flags else ""),
            allowed=allowed,
        )
