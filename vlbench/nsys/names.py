"""What the names in a capture mean: API families, memory kinds, range names without their arguments.

Synchronizations are told by API name because `syncType` changed its meaning five times between 2022 and 2026,
and memory kinds use Nsight Systems' own numbers (0 is pageable), which are not CUPTI's (1 is pageable).
"""

import re

_VERSION = re.compile(r"_v\d{4,5}$")

# First match wins. `wait` and `event` do not block the host; hip is ROCm's own API, whose stream-ordered copies
# block where they are called `WithStream`.
_FAMILIES = [
    (re.compile(pattern), family)
    for pattern, family in (
        (r"^(cuda|cu|hip)GraphLaunch", "graph_launch"),
        (r"^(cuda|cu)Launch(?!HostFunc)|^hip(Ext|Hcc)?(Module)?Launch(?!HostFunc)", "launch"),
        (r"^(cuda|hip)(Device|Stream|Event|Thread|Ctx)Synchronize|^cu(Ctx|Stream|Event)Synchronize", "sync"),
        (r"^(cuda|cu|hip)(StreamWait|WaitExternal)", "wait"),
        (r"^(cuda|cu|hip)Event", "event"),
        (r"^(cuda|cu|hip)Memcpy\w*Async", "copy_async"),
        (r"^(cuda|cu|hip)(Drv)?Memcpy", "copy_blocking"),
        (r"^(cuda|cu|hip)Memset", "memset"),
        (r"^(cuda|hip)(Malloc|Free)(From\w+)?Async|^cuMem(Alloc|Free)(From\w+)?Async", "pool"),
        (r"^(cuda|hip)(Ext)?(Malloc|Free|Host(Alloc|Malloc|Free|Register|Unregister))", "alloc"),
        (r"^(cu|hip)Mem(Alloc|Free|Host(Alloc|Register|Unregister)|Create|Map|Unmap|Release)", "alloc"),
        (r"^(cu|hip)ModuleLoad|^(cuda|cu|hip)LibraryLoad", "module_load"),
    )
]
# Calls that no counter is about: they ask, set, make and unmake.
_UNCOUNTED = re.compile(
    r"^(?:__)?(?:cuda|cu|hip)(?:Graph|Get|Set|Peek|Choose|Create|Destroy|Init|Profiler|Occupancy|Pointer|Func|Kernel|Link"
    r"|Module|Library|Array|Mipmapped|Tex|Surf|Bind|Unbind|Tensor|Ipc|Import|Export|UserObject|Multicast|GreenCtx|Logs"
    r"|LaunchHostFunc|SignalExternal|Driver|Runtime|Register|Unregister|CtxResetPersisting|DevResource|KernelName|ApiName"
    r"|Stream(?:Create|Destroy|Get|Set|Query|IsCapturing|BeginCapture|EndCapture|UpdateCapture|AddCallback|AttachMem"
    r"|CopyAttributes|WriteValue|BatchMemOp)"
    r"|Device(?:Get|Set|Reset|CanAccess|Enable|Disable|PrimaryCtx|Total|Compute|Register|Unregister)"
    r"|Ctx(?:Get|Set|Push|Pop|Create|Destroy|Attach|Detach|Enable|Disable|Record|FromGreen)|Thread(?:Get|Set|Exchange|Exit)"
    r"|Mem(?:Pool|Get|Set|Advise|Prefetch|Address|Export|Import|Retain|Range|Discard|PtrGet)|HostGet"
    r"|GetProcAddress|PushCallConfiguration|PopCallConfiguration)"
)

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


def is_known(api: str) -> bool:
    """Does a table say what the call does? Of one that none knows, nobody can say that it is no launch and no wait."""
    return family(api) != "other" or bool(_UNCOUNTED.match(api))


def range_name(text: str) -> str:
    """The name shared by all instances of a range.

    `emit_nvtx` appends `, seq = .., op_id = .., sizes = ..`; the module hooks of vLLM and SGLang push a whole
    dictionary, of which only the module's path names the range; the torch profiler numbers its steps.
    """
    if module := _MODULE.match(text):
        return module[1]
    if _STEP.match(text):
        return "ProfilerStep"
    return _ARGUMENTS.sub("", text)


DTYPES = {
    "c10::BFloat16": "bfloat16",
    "c10::Half": "float16",
    "c10::Float8_e4m3fn": "float8_e4m3fn",
    "float": "float32",
    "double": "float64",
    "long int": "int64",
    "long": "int64",
    "int": "int32",
    "short int": "int16",
    "unsigned char": "uint8",
    "signed char": "int8",
    "bool": "bool",
}
"""Torch's profiler's names for the dtypes of tensors. It has others for numbers: Scalar, Int, Double."""
