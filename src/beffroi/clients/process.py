"""Running a program: no shell, its own process group, the tail of its output."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

TAIL = 4_096
KILL_AFTER = 5.0
"""Seconds between the polite and the final signal."""


class Program(BaseModel):
    """A program that may be run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    argv: Annotated[list[str], Field(min_length=1, description="The program and its arguments; no shell.")]
    cwd: Annotated[Path | None, Field(description="The working folder.")] = None
    env: Annotated[dict[str, str], Field(description="Variables added to the environment.")] = {}


@dataclass(frozen=True, slots=True)
class Exit:
    """How the program ended: its exit code, negative for a signal; output and errors interleaved."""

    code: int
    tail: str


async def run_program(program: Program, env: Mapping[str, str]) -> Exit:
    """Run the program to its end, with `env` on top. Cancelling this kills the whole process group."""
    process = await asyncio.create_subprocess_exec(
        *program.argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=program.cwd,
        env={**os.environ, **program.env, **env},
        start_new_session=True,
    )
    try:
        tail = await _read_tail(process)
        code = await process.wait()
    except asyncio.CancelledError:
        await _kill_group(process)
        raise
    return Exit(code, tail.decode(errors="replace").replace("\x00", "\ufffd"))


async def _read_tail(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None, "the output is piped"
    tail = b""
    while chunk := await process.stdout.read(65_536):
        tail = (tail + chunk)[-TAIL:]
    return tail


async def _kill_group(process: asyncio.subprocess.Process) -> None:
    _signal_group(process.pid, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(process.wait()), KILL_AFTER)
    _signal_group(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        # Reads what is left, so that the pipe is closed; unless somebody outside the group holds it.
        await asyncio.wait_for(process.communicate(), KILL_AFTER)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
