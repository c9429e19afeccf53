"""The atlas process: counts towers of one release of a package, and names each before it is touched."""

import gc
import importlib
import sys
from importlib.metadata import PackageNotFoundError, version

import torch

from vlbench.counting_device import CountingDevice
from vlbench.errors import UsageError, in_one_line
from vlbench.process.parent import Parent, serve
from vlbench.surveying.job import AtlasFinished, AtlasJob, Opened, RowCounted
from vlbench.surveying.measure import count_listed


def run(parent: Parent) -> None:
    """Raises UsageError where the package is not there or cannot be imported."""
    job = next(parent.hear(AtlasJob))
    if job.folder:
        sys.path.insert(0, job.folder)
    torch.set_num_threads(1)
    with CountingDevice("ghost", job.profile, job.cudnn) as device:  # so that the package sees a GPU
        parent.say(Opened(version=_opened(job.package), torch=torch.__version__.partition("+")[0]))
        gc.freeze()
        for listed in job.towers:
            parent.mark(listed.name)
            parent.say(RowCounted(row=count_listed(device, listed, job.grids, getattr(torch, job.dtype))))
    parent.say(AtlasFinished())


def _opened(package: str) -> str:
    """The version of the package, which is imported."""
    try:
        importlib.import_module(package)
        return version(package)
    except (PackageNotFoundError, ModuleNotFoundError) as error:
        if error.name != package:  # it is there, and something that it needs is not
            raise UsageError(f"{package} cannot be imported here: {in_one_line(error)}") from None
        raise UsageError(f"{package} is not installed; pip install {package}") from None
    except Exception as error:  # whatever a package raises where what it needs is another version
        raise UsageError(f"{package} cannot be imported here: {in_one_line(error)}") from None


if __name__ == "__main__":
    serve(run)
