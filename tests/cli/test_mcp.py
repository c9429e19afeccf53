"""`vlbench mcp`: the server as a client of the official package sees it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Vlbench
from tests.cli.gated import LAYER, SYNC, TOWERS
from vlbench.cli.tools import TOOLS
from vlbench.cli.tools.call import Ended
from vlbench.errors import UsageError

command = import_module("vlbench.cli.mcp")
NAMES = ["count", "where", "diff", "explain", "judge", "predict"]
HANGING = "import time; time.sleep(600)"
BROKEN = f"""{TOWERS}

class Ending(Tower):
    def __init__(self):
        print("built")
        os._exit(3)


class Hanging(Tower):
    def __init__(self):
        {HANGING}
"""
GRID = "1x4x6"


def test_the_tools_and_what_they_take_are_printed(vlbench: Vlbench) -> None:
    tools = {each["name"]: each for each in vlbench("mcp", "--json").json()}
    assert list(tools) == NAMES
    for each in tools.values():
        assert each["description"]
        assert each["inputSchema"]["additionalProperties"] is False
        assert all(field["description"] for field in each["inputSchema"]["properties"].values()), each["name"]
    assert tools["judge"]["inputSchema"]["required"] == ["before", "after"]
    assert tools["where"]["inputSchema"]["properties"]["cold"]["type"] == "boolean"
    (text, texts, none) = tools["count"]["inputSchema"]["properties"]["grid"]["anyOf"]
    assert (text["type"], texts["items"]["type"], none["type"]) == ("string", "string", "null")


@pytest.mark.parametrize(
    ("tool", "given", "said"),
    [
        ("count", {"towers": "a:b"}, "count: towers: Extra inputs are not permitted; its arguments are tower, variant"),
        ("where", {"cold": "perhaps"}, "where: cold: Input should be a valid boolean"),
        ("judge", {"before": "a.json"}, "judge: after: Field required"),
        ("explain", {"name": ["a"]}, "explain: name: Input should be a valid string"),
    ],
)
def test_a_wrong_argument_is_named_with_those_that_there_are(tool: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as error:
        TOOLS[tool].checked(given)
    assert str(error.value).startswith(said)


def test_without_the_extra_it_says_what_to_install(vlbench: Vlbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    assert vlbench("mcp").sentence == "`vlbench mcp` needs the package mcp, 2.0 or newer: pip install 'vlbench[mcp]'"


def served(folder: Path, work: Callable[[Any], Awaitable[None]], *options: str, **more: Any) -> str:
    """Let `work` speak to a server of its own, which runs in the folder; what that prints on stderr comes back."""
    from mcp import Client, StdioServerParameters, stdio_client

    env = {name: os.environ[name] for name in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE") if name in os.environ}
    server = StdioServerParameters(
        command=sys.executable, args=["-P", "-m", "vlbench", "mcp", *options], cwd=folder, env=env
    )

    async def whole(errors: Any) -> None:
        async with Client(stdio_client(server, errlog=errors), **more) as client:
            await work(client)

    with (folder / "errors.txt").open("w+") as errors:
        asyncio.run(asyncio.wait_for(whole(errors), 120))
        errors.seek(0)
        return errors.read()


def told(result: Any) -> str:
    """The sentence of a call that failed."""
    assert result.is_error, result
    (content,) = result.content
    assert "\n" not in content.text
    return str(content.text)


def found(result: Any) -> Any:
    """What a call found, which is also the text that it gives."""
    assert not result.is_error, result
    assert json.loads(result.content[0].text) == result.structured_content
    return result.structured_content


@pytest.mark.slow(20)
def test_the_tools_are_called_while_others_crash_and_hang(folder: Path) -> None:
    (folder / "towers.py").write_text(BROKEN.replace(LAYER, SYNC, 1))
    heard: list[tuple[float, str]] = []

    async def progress(amount: float, total: float | None, line: str | None) -> None:
        heard.append((amount, line or ""))

    async def work(client: Any) -> None:
        assert [each.name for each in (await client.list_tools()).tools] == NAMES
        hanging = asyncio.create_task(client.call_tool("count", {"tower": "towers:Hanging", "grid": GRID}))
        ended, counted, lines, wrong, unknown, explained = await asyncio.gather(
            client.call_tool("count", {"tower": "towers:Ending", "grid": GRID}),
            client.call_tool("count", {"tower": ["towers:Tower"], "grid": [GRID]}, progress_callback=progress),
            client.call_tool("where", {"tower": "towers:Tower", "grid": GRID}),
            client.call_tool("count", {"tower": "towers:Tower", "grid": "1x4x"}),
            client.call_tool("count_all", {}),
            client.call_tool("explain", {"name": "rope-cache"}),
        )
        assert not hanging.done()
        hanging.cancel()
        assert [row["failed"] is not None for row in found(ended)["rows"]] == [True, True]
        warm, _ = found(counted)["rows"]
        assert (warm["forward"], warm["host_syncs"], counted.structured_content["exit_code"]) == ("warm", 3, 0)
        (line,) = [each for each in found(lines)["lines"] if each["blocking"]]
        assert (line["event"], line["times"], "lengths.sum().item()" in line["where"]) == ("read-back", 3, True)
        assert told(wrong).startswith("grid: '1x4x' must be")
        assert told(unknown).startswith("tool: 'count_all' is not one of count, where")
        assert found(explained)["flag"] == "rope-cache"
        nothing = await client.call_tool("diff", {"before": "none.json", "after": "none.json"})
        assert "none.json" in told(nothing)

    errors = served(folder, work)
    assert "Traceback" not in errors
    amounts = [amount for amount, _ in heard]
    assert amounts == sorted(set(amounts))
    assert any("counting towers:Tower" in line for _, line in heard)


@pytest.mark.slow(6)
def test_a_call_that_hangs_is_ended_in_time_also_for_a_client_of_the_older_protocol(folder: Path) -> None:
    (folder / "hanging.py").write_text(f"{HANGING}\n")

    async def work(client: Any) -> None:
        late = await client.call_tool("count", {"tower": "hanging:Tower", "grid": GRID})
        assert told(late) == "count: no end after 6 s; the server goes on"
        assert found(await client.call_tool("explain", {"name": "churn"}))["word"] == "churn"

    served(folder, work, "--timeout", "6", mode="legacy")


@pytest.mark.slow(3)
def test_a_signal_ends_the_server_while_its_input_is_open(folder: Path) -> None:
    words = [sys.executable, "-P", "-m", "vlbench", "mcp"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        asked = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        assert json.loads(server.stdout.readline())["result"]["serverInfo"]["name"] == "vlbench"
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 143


@pytest.mark.slow(2)
def test_verdicts_are_found_as_their_commands_print_them(vlbench: Vlbench, folder: Path) -> None:
    for name, rate in {"old": 100.0, "new": 80.0}.items():
        rows = "".join(f"tokens/s,{rate + number / 10},{number}\n" for number in range(4))
        (folder / f"{name}.csv").write_text(f"name,value,run\n{rows}")
    given = {"before": "old.csv", "after": ["new.csv"], "threshold": 0.1}
    asked = TOOLS["judge"].checked(given)
    assert asked == {"before": "old.csv", "after": ["new.csv"], "threshold": "0.1"}
    judged = Ended(found=TOOLS["judge"].work(print, **asked)).model_dump(mode="json")["found"]
    (row,) = judged["rows"]
    assert (row["cell"], row["verdict"], judged["exit_code"]) == ("tokens/s", "regressed", 3)
    assert TOOLS["diff"].work(print, before="old.csv", after="new.csv")["exit_code"] == 3
