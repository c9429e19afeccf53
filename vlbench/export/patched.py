"""The judgement of a patch as a sheet: the verdict in one line, and the rows that it follows from."""

from vlbench.export.sheet import Part, Sheet, Words
from vlbench.patches.judged import PatchJudged
from vlbench.patches.reasons import CODES

GOOD = ("improved", "same")


def patched_sheet(found: PatchJudged) -> Sheet:
    """The verdict, its reason and the reward; below them the rows, where anything was judged."""
    reason = CODES[found.reason]
    title = f"{found.tower}, {found.judged.after} on {found.judged.before}: {found.verdict}, {found.reason}"
    style = "bold" if found.verdict in GOOD else "bold red"
    view: list[Part] = [Words(f"{title}, reward {found.reward:.2f}", style), Words(f"{reason.says}: {found.said}")]
    given = "was given" if found.seed_was_given else "was drawn after the patch was read"
    if found.verdict not in ("refused", "missing"):
        view += [Words(), found.judged, Words(f"Held-out grids and contents: seed {found.seed}, which {given}.", "dim")]
    text = found.model_dump_json(indent=1)
    return Sheet(title, judged=found.judged, exit_code=int(found.exit_code), view=view, own={"json": lambda: text})
