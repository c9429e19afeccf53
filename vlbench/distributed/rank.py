"""One rank: meets the others, encodes its share, and, where it is the first, holds all tokens to its own."""

import hashlib
import os
from collections.abc import Callable
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn
from torch._C._distributed_c10d import FileStore, Store
from torch.distributed.rendezvous import rendezvous

from vlbench.distributed.job import Done, Failed, Joined, RankJob, RankReport
from vlbench.errors import UsageError
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.output import Parts, unpack
from vlbench.implementations.parallel.balance import RankError, gathered, item_cost
from vlbench.implementations.parallel.data import EncoderDP, encode, meet
from vlbench.process.parent import Parent, serve
from vlbench.towers.resolve import config_of, resolve_tower
from vlbench.workload.batch import Batch, build_batch
from vlbench.workload.library import one_point


@torch.inference_mode()
def run(job: RankJob, joined: Callable[[], None] = lambda: None) -> RankReport | None:
    """The report, on rank 0. `joined` is called once all ranks are there. Raises UsageError and RankError."""
    if (config := config_of(job.tower)) is None:
        raise UsageError(f"--tower {job.tower!r}: what its images cost is not known; name one of ours, MODEL[+FLAG...]")
    point = one_point(job.scenario, job.point, job.device)
    batch = build_batch(point, seed=job.seed, fed=config.preprocessing)
    device = _device(job)
    made = resolve_tower(job.tower).make(device, torch.float32)
    pixels, grid_thw = batch.pixels.to(device), batch.grid_thw
    store = _met(job, batch)
    joined()
    try:
        tower = EncoderDP(made, config)
        parts = unpack(tower(pixels, grid_thw))
        digest = hashlib.sha256(b"".join(part.cpu().numpy().tobytes() for part in parts.values())).hexdigest()
        meet(store, "the end", digest, job.rank, job.ranks, job.timeout)
    finally:
        dist.destroy_process_group()
    return _report(job, point.label, config, batch, tower, parts) if job.rank == 0 else None


def _device(job: RankJob) -> torch.device:
    if job.device == "cpu":
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // job.ranks))
        return torch.device("cpu")
    own = int(os.environ.get("LOCAL_RANK", job.rank))
    if own >= torch.cuda.device_count():
        raise UsageError(f"--ranks: rank {job.rank} needs GPU {own}, and torch sees {torch.cuda.device_count()}")
    torch.cuda.set_device(own)
    os.environ["TORCH_NCCL_BLOCKING_WAIT"] = "1"  # without it a rank that is gone is no error of the others
    return torch.device("cuda", own)


def _met(job: RankJob, batch: Batch) -> Store:
    """Every rank has come, with the same batch, and the group is there."""
    wait = timedelta(seconds=job.timeout)
    try:
        if job.store:
            store = FileStore(job.store, job.ranks)
        else:
            store, _, _ = next(rendezvous("env://", timeout=wait))
        told = f"{job.tower}, {batch.grids}, {hashlib.sha256(batch.pixels.numpy().tobytes()).hexdigest()}"
        meet(store, "the start", told, job.rank, job.ranks, job.timeout)
        backend = "nccl" if job.device == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=job.rank, world_size=job.ranks, timeout=wait)
    except RankError:
        raise
    except RuntimeError as error:  # those of torch's store and of its backends
        told = str(error).strip().partition("\n")[0]
        raise RankError(f"rank {job.rank} of {job.ranks}: the ranks did not find each other ({told:.120})") from error
    return store


def _report(job: RankJob, point: str, config: VisionConfig, batch: Batch, tower: EncoderDP, parts: Parts) -> RankReport:
    shares = tower.shares(batch.grids)
    loads = [sum(item_cost(config, batch.grids[item]) for item in share) for share in shares]
    device = next(iter(parts.values())).device
    equal, error = _held(tower.tower, batch, device, shares, parts)
    return RankReport(
        tower=job.tower,
        scenario=job.scenario,
        point=point,
        backend="nccl" if job.device == "cuda" else "gloo",
        ranks=job.ranks,
        grids=batch.grids,
        shares=shares,
        balance=max(loads) * job.ranks / sum(loads),
        received_bytes=gathered(config, batch.grids, shares, element=4).received,
        equals_shares=equal,
        error=error,
    )


def _held(
    tower: nn.Module, batch: Batch, device: torch.device, shares: tuple[tuple[int, ...], ...], parts: Parts
) -> tuple[bool, float]:
    """Equal bits share by share, and how far off the whole batch at once they are."""
    pixels, grid_thw = batch.pixels.to(device), batch.grid_thw
    sizes = (grid_thw.prod(dim=1) // 4).tolist()
    joined, placed = torch.cat([*parts.values()], dim=1), dict[int, torch.Tensor]()
    for share in shares:
        if (alone := encode(tower, pixels, grid_thw, share)) is not None:
            placed |= zip(share, torch.split(alone, [sizes[item] for item in share]), strict=True)
    whole = unpack(tower(pixels, grid_thw))
    off = max(float((parts[name] - each).norm() / each.norm()) for name, each in whole.items())
    return torch.equal(joined, torch.cat([placed[item] for item in sorted(placed)])), off


def work(parent: Parent) -> None:
    """As a process of `launch`."""
    job = next(parent.hear(RankJob))
    try:
        report = run(job, lambda: parent.say(Joined(rank=job.rank)))
    except RankError as error:
        parent.say(Failed(message=str(error)))
    else:
        if report is not None:
            parent.say(report)
    parent.say(Done())


if __name__ == "__main__":
    serve(work)
