"""The server of `vlbench mcp`: lists the tools, and has each call done by a process while it goes on to listen."""

import json
import os
import signal
import time
from functools import partial
from typing import Any

import anyio
from anyio import to_thread
from mcp import types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.session import ServerSession
from mcp.server.stdio import stdio_server

from vlbench.cli.tools import TOOLS, Found
from vlbench.cli.tools.call import Call
from vlbench.errors import UsageError, check_choice
from vlbench.process.start import ENDINGS
from vlbench.untrusted.names import json_text, terminal
from vlbench.version import __version__

LOOK, AGAIN = 0.5, 5.0
"""Seconds between two looks at what goes on, and after which the same is told once more."""
INSTRUCTIONS = (
    "vlbench judges optimizations of Qwen-VL vision towers without a GPU: `where` names the lines at which a tower "
    "waits, `count` counts, `predict` says what that takes on a GPU, `diff` and `judge` hold two files or results "
    "against each other, `explain` says what a word means. Paths and package.module:factory are seen from the folder "
    "of the server."
)


def run_server(timeout: float) -> None:
    """Serve over stdin and stdout until stdin ends; a call may take `timeout` seconds.

    A signal ends it at once, and with it the processes of its calls: the thread that reads stdin could not be told.
    """
    for number in ENDINGS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, frame: os._exit(128 + number))
    anyio.run(_serve, timeout)


async def _serve(timeout: float) -> None:
    server: Server[Any] = Server(
        "vlbench",
        version=__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=_list_tools,
        on_call_tool=partial(_call_tool, timeout),
    )
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


async def _list_tools(context: ServerRequestContext, params: types.PaginatedRequestParams | None) -> Any:
    return types.ListToolsResult(tools=[types.Tool.model_validate(each.told()) for each in TOOLS.values()])


async def _call_tool(
    timeout: float, context: ServerRequestContext, params: types.CallToolRequestParams
) -> types.CallToolResult:
    try:
        check_choice("tool", params.name, TOOLS)
        arguments = TOOLS[params.name].checked(params.arguments or {})
    except UsageError as error:
        return _result(str(error))
    return _result(await _watched(context.session, Call(params.name, arguments, timeout)))


async def _watched(session: ServerSession, call: Call) -> Found | str:
    """What comes of a call, which goes on in a thread; where the client gives it up, it ends."""
    async with anyio.create_task_group() as group:
        group.start_soon(_report, session, call)
        try:
            found = await to_thread.run_sync(call, abandon_on_cancel=True)
        finally:
            call.end()
            group.cancel_scope.cancel()
    return found


async def _report(session: ServerSession, call: Call) -> None:
    """Tell a client that wants to know what goes on; the amount of progress is seconds, as the end is not known."""
    began = last = time.monotonic()
    told = ""
    while True:
        await anyio.sleep(LOOK)
        now, line = time.monotonic(), call.line
        if line != told or now - last >= AGAIN:
            told, last = line, now
            await session.report_progress(now - began, None, f"{terminal(line)} ({now - began:.0f} s so far)")


def _result(found: Found | str) -> types.CallToolResult:
    if isinstance(found, str):
        return types.CallToolResult(content=[types.TextContent(type="text", text=terminal(found))], is_error=True)
    text = json_text(json.dumps(found, ensure_ascii=False, allow_nan=False))
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], structured_content=found)
