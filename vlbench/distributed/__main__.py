"""`python -m vlbench.distributed`: images shared out over ranks, held to one process."""

import argparse
import os
import sys

from vlbench.distributed.job import LIMIT, Joined, RankEvent, RankJob, RankReport
from vlbench.distributed.launch import launch
from vlbench.errors import UsageError
from vlbench.implementations.parallel.balance import RankError
from vlbench.judging.words import readable_bytes

NO_ITEM = "no item, and takes part"


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0, 1 where ranks do not come together, 2 for wrong use, 5 where the tokens are not the same."""
    parser = argparse.ArgumentParser(prog="python -m vlbench.distributed", description=__doc__)
    parser.add_argument("--ranks", type=int, metavar="N", help="processes to start; torchrun starts its own [2]")
    parser.add_argument("--tower", default="qwen2.5-vl-tiny", help="MODEL or MODEL+FLAG+..., with random weights")
    parser.add_argument("--scenario", default="multi-image", help="what is fed in")
    parser.add_argument("--point", help="of the scenario, where it has several")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: a GPU for each rank, and NCCL")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds that a rank waits for the others")
    parser.add_argument("--json", action="store_true")
    given = vars(parser.parse_args(arguments))
    as_json, ranks = given.pop("json"), given.pop("ranks")
    try:
        report = _run(ranks, given)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except RankError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if report is None:
        return 0
    print(report.model_dump_json(indent=1, exclude={"event"}) if as_json else report_words(report))
    return 0 if report.passed else 5


def _run(ranks: int | None, given: dict[str, object]) -> RankReport | None:
    under_torchrun = {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys()
    if under_torchrun and ranks is not None:
        raise UsageError("--ranks: torchrun has started them; leave it out")
    if ranks is not None and not 1 <= ranks <= 64:
        raise UsageError(f"--ranks: {ranks} is not a number from 1 to 64; give one")
    if not 0 < float(str(given["timeout"])) <= 3600:
        raise UsageError(f"--timeout: {given['timeout']} is no number of seconds up to 3,600; give one")
    if under_torchrun:
        from vlbench.distributed.rank import run

        rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        return run(RankJob.model_validate({**given, "rank": rank, "ranks": world}))
    job = RankJob.model_validate({**given, "ranks": ranks or 2})
    print(f"starting {job.ranks} ranks, each with a tower of its own", file=sys.stderr, flush=True)
    return launch(job, _tell)


def _tell(pid: int, event: RankEvent) -> None:
    if isinstance(event, Joined):
        print(f"rank {event.rank}, process {pid}: has met the others", file=sys.stderr, flush=True)


def report_words(report: RankReport) -> str:
    """For people."""
    shared = [
        f"rank {rank}: " + (f"item{'s' * (len(share) > 1)} {', '.join(map(str, share))}" if share else NO_ITEM)
        for rank, share in enumerate(report.shares)
    ]
    return "\n".join(
        [
            f"{report.tower} on {report.scenario}, {report.ranks} ranks over {report.backend}, not timed",
            *shared,
            f"balance {report.balance:.3f}; each rank received {readable_bytes(report.received_bytes)} in one gather",
            f"to one process, share by share: {'equal to the bit' if report.equals_shares else 'NOT EQUAL'}",
            f"to the whole batch at once: error {report.error:.1e}, limit {LIMIT:.0e}",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
