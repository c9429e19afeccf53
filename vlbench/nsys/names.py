"""What the names in a capture mean: API families, memory kinds, range names without their arguments.

Synchronizations are told by API name because `syncType` changed its meaning five times between 2022 and 2026,
and memory kinds use Nsight Systems' own numbers (0 is pageable), which are not CUPTI's (1 is pageable).
"""

import re

_VERSION = re.compile(r"_v\d{4,5}$")

# First match wins. `wait` and `event` do not block the host.
_FAMILIES = [
    (re.compile(pattern), family)
    for pattern, family in (
        (r"^(cuda|cu)GraphLaunch", "graph_launch"),
        (r"^(cuda|cu)Launch", "launch"),
        (r"^cuda(Device|Stream|Event|Thread)Synchronize|^cu(Ctx|Stream|Event)Synchronize", "sync"),
        (r"^(cuda|cu)StreamWaitEvent", "wait"),
        (r"^(cuda|cu)Event", "event"),
        (r"^(cuda|cu)Memcpy\w*Async", "copy_async"),
        (r"^(cuda|cu)Memcpy", "copy_blocking"),
        (r"^(cuda|cu)Memset", "memset"),
        (r"^cuda(Malloc|Free)(From\w+)?Async|^cuMem(Alloc|Free)(From\w+)?Async", "pool"),
        (r"^cuda(Malloc|Free|HostAlloc|HostRegister|HostUnregister)", "alloc"),
        (r"^cuMem(Alloc|Free|HostAlloc|HostRegister|HostUnregister|Create|Map|Unmap|Release)", "alloc"),
        (r"^cuModuleLoad|^(cuda|cu)LibraryLoad", "module_load"),
    )
]

FAMILIES = (*dict.fromkeys(family for _, family in _FAMILIES), "other")

# Both are numbered from 0 on.
MEMORY_KINDS = dict(
    enumerate(("pageable", "pinned", "device", "array", "managed", "device static", "managed static", "unknown"))
)
NOT_RECORDED = "not recorded"

_PLAIN = ("HtoD", "DtoH", "HtoA", "AtoH", "AtoA", "AtoD", "DtoA", "DtoD", "HtoH", "PtoP")
DIRECTIONS = dict(enumerate(("unknown", *_PLAIN, "managed HtoD", "managed DtoH", "managed DtoD")))

_ARGUMENTS = re.compile(r",\s*(?:seq|op_id|sizes|input_op_ids)\s*=.*$", re.DOTALL)
_STEP = re.compile(r"^ProfilerStep#\d+$")
_MODULE = re.compile(r"^\{'Module': '([^']+)'")


def api_name(recorded: str) -> str:
    """The API's name without the version that nsys appends: `cudaLaunchKernel_v7000` -> `cudaLaunchKernel`.

    A driver call's own `_v2` stays.
    """
    return _VERSION.sub("", recorded)


def family(api: str) -> str:
    """The family of an API call, one of `FAMILIES`."""
    return next((name for pattern, name in _FAMILIES if pattern.search(api)), "other")


def range_name(text: str) -> str:
    """The name shared by all instances of a range.

    `emit_nvtx` appends `, seq = .., op_id = .., sizes = ..`; the module hooks of vLLM and SGLang push a whole
    dictionary, of which only the module's path names the range; the torch profiler numbers its steps.
    """
    module = _MODULE.match(text)
    if module:
        return module[1]
    if _STEP.match(text):
        return "ProfilerStep"
    return _ARGUMENTS.sub("", text)
