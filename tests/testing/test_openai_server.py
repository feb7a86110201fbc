"""The scripted server as a process: what it keeps, how it ends, and what it refuses."""

import http.client
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from agenthost.core.models import Usage
from agenthost.testing.openai_server.process import OpenAIServer
from agenthost.testing.openai_server.record import Answered

SAY = "rules: [{reply: {text: one two three, usage: {input: 5, output: 3}}}]"


def book(folder: Path, text: str = SAY) -> Path:
    file = folder / "book.yaml"
    file.write_text(text)
    return file


def post(url: str, body: bytes, path: str = "/chat/completions", **headers: str) -> tuple[int, bytes]:
    """A request as plain as can be; status and body."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    try:
        connection.request("POST", place.path + path, body, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def chat(*messages: dict[str, Any], **fields: Any) -> bytes:
    said = messages or ({"role": "user", "content": "hello"},)
    return json.dumps({"model": "m", "messages": said, **fields}, indent=1).encode()


def test_bodies_are_kept_byte_for_byte_and_answers_counted(tmp_path: Path) -> None:
    body = chat(stream=False)
    with OpenAIServer(book(tmp_path), tmp_path / "record") as server:
        headers = {"Idempotency-Key": "t/m1/1", "X-AgentHost-Agent": "coder"}
        status, answer = post(server.url, body, **headers)
        assert (status, json.loads(answer)["choices"][0]["message"]["content"]) == (200, "one two three")
        status, answer = post(server.url, b"{nonsense", path="/responses")
        assert (status, json.loads(answer)["error"]["type"]) == (400, "invalid_request_error")
        assert server.bodies() == [body, b"{nonsense"]
        assert server.answers() == [Answered(1, "t/m1/1", "chat", "m", Usage(5, 3), "coder")]
    with OpenAIServer(book(tmp_path), tmp_path / "record") as server:  # the record goes on
        post(server.url, body)
        assert len(server.bodies()) == 3
        assert server.answers()[-1].request == 3


def test_an_answer_is_noted_before_its_last_byte_and_a_cut_one_never(tmp_path: Path) -> None:
    with OpenAIServer(book(tmp_path), tmp_path / "record", latency=1, pause=1) as server:
        place = urlsplit(server.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
        connection.request("POST", "/v1/chat/completions", chat(stream=True))
        response = connection.getresponse()
        while b"[DONE]" not in (line := response.readline()):
            assert line
        assert len(server.answers()) == 1
        connection.close()
    cut = "rules: [{fail: {kind: cut, after: 1}, reply: {text: one two three}}]"
    with OpenAIServer(book(tmp_path, cut), tmp_path / "cut") as server:
        for stream in (True, False):
            with pytest.raises((http.client.IncompleteRead, ConnectionError)):
                post(server.url, chat(stream=stream))
        assert server.answers() == []
        assert len(server.bodies()) == 2


def test_a_key_is_wanted_where_one_is_set(tmp_path: Path) -> None:
    with OpenAIServer(book(tmp_path), tmp_path / "record", key="sk-1") as server:
        assert post(server.url, chat())[0] == 401
        assert post(server.url, chat(), Authorization="Bearer sk-1")[0] == 200
        place = urlsplit(server.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
        connection.request("GET", "/v1/models")
        assert connection.getresponse().status == 401
        connection.close()


TOOL = {"role": "tool", "tool_call_id": "c9", "content": "x"}


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/chat/completions", chat({"role": "clown", "content": "x"}), "no role 'clown'"),
        ("/chat/completions", chat(TOOL), "the call 'c9', which nobody made"),
        ("/chat/completions", b'{"model": "m"}', "not of the API's form"),
        ("/chat/completions", b"[1]", "Expected `object`"),
        ("/chat/completions", chat({"role": "user", "content": [{"type": "smell"}]}), "no content of type 'smell'"),
        (
            "/chat/completions",
            chat({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}),
            "must be a data URL",
        ),
        (
            "/chat/completions",
            chat(
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,%%"}}]}
            ),
            "is not base64",
        ),
        ("/responses", b'{"model": "m", "input": [{"type": "wish"}]}', "no item of type 'wish'"),
    ],
)
def test_what_openai_would_refuse_is_refused(
    tmp_path: Path, server: OpenAIServer, path: str, body: bytes, words: str
) -> None:
    status, answer = post(server.url, body, path)
    assert status == 400
    assert words in json.loads(answer)["error"]["message"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("server")
    rules = """
rules:
  - when: {says: nobody}
    reply: {text: x}
  - when: {instructions: [one, two], says: hello, turn: 1, tool: add}
    reply: {text: understood}
"""
    with OpenAIServer(book(folder, rules), folder / "record") as running:
        yield running


def test_where_no_rule_fits_it_says_so_and_another_picture_differently(server: OpenAIServer) -> None:
    status, answer = post(server.url, chat())
    assert (status, json.loads(answer)["error"]["code"]) == (400, "scripted_no_reply")
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
    status, answer = post(server.url, chat({"role": "user", "content": [picture]}))
    assert (status, json.loads(answer)["error"]["code"]) == (400, "scripted_unreadable")


def test_both_wires_are_read_as_other_clients_write_them(server: OpenAIServer) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    body = chat(
        {"role": "system", "content": "one"},
        {"role": "developer", "content": [{"type": "text", "text": "two"}]},
        {"role": "user", "content": "sum"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "hello"},
        tools=[{"type": "function", "function": {"name": "add"}}],
        response_format={"type": "json_object"},
    )
    status, answer = post(server.url, body)
    assert (status, json.loads(answer)["choices"][0]["message"]["content"]) == (200, "understood")
    given = [
        {"role": "developer", "content": "two"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "sum"}]},
        {"type": "reasoning", "id": "r", "summary": []},
        {
            "role": "assistant",
            "content": [{"type": "output_text", "text": "I add."}, {"type": "refusal", "refusal": "."}],
        },
        {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "hello"},
    ]
    body = json.dumps(
        {"model": "m", "instructions": "one", "input": given, "text": {"format": {"type": "text"}}}
    ).encode()
    status, answer = post(server.url, body, "/responses")
    assert (status, json.loads(answer)["output"][0]["content"][0]["text"]) == (200, "understood")
    status, _ = post(server.url, b'{"model": "m", "input": "nobody"}', "/responses")
    assert status == 200


def test_a_playbook_that_can_not_be_used_ends_it_with_the_reason(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agenthost.testing.openai_server", "--playbook", str(tmp_path / "none.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "none.yaml can't be read" in done.stderr
    with pytest.raises(RuntimeError, match="didn't start"), OpenAIServer(tmp_path / "none.yaml", tmp_path):
        pass


def test_it_ends_when_it_is_told_to(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "agenthost.testing.openai_server",
        "--playbook",
        str(book(tmp_path)),
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("listening on ").strip()
        assert post(url, chat())[0] == 200  # nothing is kept where nothing is to be kept
        process.terminate()
        assert process.wait(timeout=30) == 0
