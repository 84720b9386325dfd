"""What jobs do, against a real server, real processes and real entry points."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from beffroi.clients.hosts import HostList, HostRules
from beffroi.clients.http import TAIL, HttpClient
from beffroi.clients.process import Program
from beffroi.core.errors import PermanentError, TemporaryError
from beffroi.domains.jobs.action import (
    CommandAction,
    CommandParams,
    HttpAction,
    HttpParams,
    PythonParams,
    call_python,
)
from beffroi.engine.calls import Answer, Call
from tests.helpers.program import eventually, free_port
from tests.helpers.receiver import Receiver

CALL = Call("0190-run", 7, "nightly", datetime(2026, 1, 1, tzinfo=UTC), 2)


def call_http(params: HttpParams, rules: HostRules | None = None) -> Answer:
    async def call() -> Answer:
        client = HttpClient(rules or HostRules(), 10)
        try:
            return await HttpAction(client).call(params, CALL)
        finally:
            await client.close()

    return asyncio.run(call())


def test_a_call_carries_the_run_as_its_idempotency_key(target: Receiver) -> None:
    answer = call_http(HttpParams(url=f"{target.url}/hook?x=1", method="POST", body={"a": [1]}))
    (request,) = target.requests
    assert (request.method, request.path, request.body) == ("POST", "/hook?x=1", b'{"a":[1]}')
    assert request.headers["Idempotency-Key"] == CALL.run_id
    assert request.headers["Content-Type"] == "application/json"
    assert answer == Answer(200, "ok")


def test_a_text_body_goes_as_it_is(target: Receiver) -> None:
    call_http(HttpParams(url=target.url, method="PUT", body="plain", headers={"X-Key": "v"}))
    (request,) = target.requests
    assert (request.body, request.headers["X-Key"]) == (b"plain", "v")
    assert "Content-Type" not in request.headers


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_worth_a_retry(target: Receiver, status: int) -> None:
    target.answers, target.headers = [status], {"Retry-After": "7"}
    with pytest.raises(TemporaryError) as raised:
        call_http(HttpParams(url=target.url))
    assert (raised.value.code, raised.value.output) == (status, "ok")
    assert raised.value.retry_after == timedelta(seconds=7)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 410, 422])
def test_what_will_not_pass_is_not(target: Receiver, status: int) -> None:
    target.answers = [status]
    with pytest.raises(PermanentError, match=f"The answer was {status}, expected 200 to 299"):
        call_http(HttpParams(url=target.url))


def test_a_retry_date_is_measured_by_the_servers_own_clock(target: Receiver) -> None:
    target.answers = [503]
    target.headers = {"Retry-After": "Thu, 01 Jan 1970 01:00:00 GMT"}
    with pytest.raises(TemporaryError) as raised:
        call_http(HttpParams(url=target.url))
    assert raised.value.retry_after == timedelta(0), "a date in the past asks for no wait"


def test_an_expected_status_is_a_success(target: Receiver) -> None:
    target.answers = [404]
    assert call_http(HttpParams(url=target.url, expected_status=[404, 410])).code == 404


def test_only_the_tail_of_a_large_answer_is_kept(target: Receiver) -> None:
    target.body = b"x" * 300_000 + b"the end"
    output = call_http(HttpParams(url=target.url)).output
    assert output is not None
    assert len(output) == TAIL
    assert output.endswith("the end")


def test_a_slow_server_is_given_up(target: Receiver) -> None:
    target.delay = 2
    with pytest.raises(TemporaryError, match=r"No answer within 0\.1 s"):
        call_http(HttpParams(url=target.url, timeout=timedelta(seconds=0.1)))


def test_a_refused_connection_may_come_back() -> None:
    with pytest.raises(TemporaryError, match="The call failed"):
        call_http(HttpParams(url=f"http://127.0.0.1:{free_port()}/"))


def test_a_name_that_does_not_exist_is_told() -> None:
    with pytest.raises(TemporaryError, match="cannot be resolved"):
        call_http(HttpParams(url="http://no-such-host.invalid/"))


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "file:///etc/passwd", "http://", "/path", "javascript:alert(1)"]
)
def test_only_http_is_called(url: str) -> None:
    with pytest.raises(ValidationError, match="must be an http:// or https:// URL"):
        HttpParams(url=url)


@pytest.mark.parametrize("headers", [{"a b": "c"}, {"X": "a\r\nEvil: 1"}, {"": "x"}])
def test_headers_cannot_smuggle(headers: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        HttpParams(url="http://x/", headers=headers)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://100.100.100.200/",
        "http://0.0.0.0/",
    ],
)
def test_metadata_and_link_local_addresses_are_denied(url: str) -> None:
    with pytest.raises(PermanentError, match="is not permitted"):
        call_http(HttpParams(url=url))


def test_a_denied_host_is_not_called_and_an_allowed_one_is(target: Receiver) -> None:
    deny = HostRules(deny=HostList.of(["127.0.0.0/8"]))
    with pytest.raises(PermanentError, match="is not permitted"):
        call_http(HttpParams(url=target.url), deny)
    assert target.requests == []
    both = HostRules(allow=HostList.of(["127.0.0.1"]), deny=HostList.of(["*"]))
    assert call_http(HttpParams(url=target.url), both).code == 200


def test_a_name_is_judged_by_its_address(target: Receiver) -> None:
    url = target.url.replace("127.0.0.1", "localhost")
    with pytest.raises(PermanentError):
        call_http(HttpParams(url=url), HostRules(deny=HostList.of(["127.0.0.1", "::1"])))


def run(program: Program, action: Callable[[CommandAction], Awaitable[Answer]] | None = None) -> Answer:
    command = CommandAction({"it": program})
    return asyncio.run(_await(action(command) if action else command.call(CommandParams(command="it"), CALL)))


async def _await(awaitable: Awaitable[Answer]) -> Answer:
    return await awaitable


def script(code: str) -> Program:
    return Program(argv=[sys.executable, "-c", code])


def test_a_command_knows_its_run_and_its_tail_is_kept() -> None:
    answer = run(script("import os; print('x' * 9999); print(os.environ['BEFFROI_RUN_ID'])"))
    assert answer.code == 0
    assert answer.output is not None
    assert answer.output.endswith(f"{CALL.run_id}\n")
    assert len(answer.output) == TAIL


def test_a_command_that_fails_says_how() -> None:
    with pytest.raises(TemporaryError, match="ended with code 3") as raised:
        run(script("import sys; print('why', file=sys.stderr); sys.exit(3)"))
    assert (raised.value.code, raised.value.output) == (3, "why\n")


def test_no_shell_is_involved() -> None:
    answer = run(Program(argv=[sys.executable, "-c", "import sys; print(sys.argv[1])", "$HOME; rm -rf x"]))
    assert answer.output == "$HOME; rm -rf x\n"


def test_an_unknown_command_and_an_absent_program_are_told() -> None:
    with pytest.raises(PermanentError, match="names no command 'other'"):
        run(script(""), lambda action: action.call(CommandParams(command="other"), CALL))
    with pytest.raises(PermanentError, match="cannot be started"):
        run(Program(argv=["/no/such/program"]))


def test_a_cancelled_command_takes_its_whole_group_with_it(tmp_path: Path) -> None:
    mark = tmp_path / "child"
    code = f"""
import os, signal, time
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open({str(mark)!r}, "w").write(str(os.getpid()))
time.sleep(60)
"""

    async def cancel() -> None:
        command = CommandAction({"it": script(code)})
        task = asyncio.create_task(command.call(CommandParams(command="it"), CALL))
        while not mark.exists() or not mark.read_text():  # noqa: ASYNC110  a file has no event
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    started = time.monotonic()
    asyncio.run(cancel())
    assert time.monotonic() - started < 30
    child = int(mark.read_text())
    eventually(lambda: not _lives(child), "the grandchild's end")


def _lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_a_python_action_is_called_with_its_arguments() -> None:
    assert asyncio.run(call_python(PythonParams(entry_point="noop"), CALL)) == Answer()
    with pytest.raises(TypeError):
        asyncio.run(call_python(PythonParams(entry_point="noop", arguments={"x": 1}), CALL))
    with pytest.raises(PermanentError, match="No installed package offers"):
        asyncio.run(call_python(PythonParams(entry_point="moon"), CALL))


def test_errors_of_actions_know_whether_a_retry_helps() -> None:
    assert TemporaryError("x").retryable
    assert not PermanentError("x").retryable
