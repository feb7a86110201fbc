"""`agenthost model batch`, `files`, `embed` and `list PROVIDER` as a person uses them, against a server of OpenAI's API:
in the command's own process, and through a host that is up."""

import json
import time
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from agenthost.testing.openai_server.process import OpenAIServer
from tests.product.product import PATIENCE, Product, png

PLAYS = """\
rules:
  - when: {matches: "one|two|three|seen"}
    reply: {text: "You said {{said}}", usage: {input: 3, output: 2}}
"""

WAYS = pytest.mark.parametrize("up", [False, True], ids=["alone", "up"])


def settings(product: Product, url: str) -> None:
    product.without("AGENTHOST_MODEL")
    product.settings(f'[models]\ndefault = "acme:m"\n[models.providers.acme]\nbase-url = "{url}"\n')


@contextmanager
def provided(product: Product, up: bool) -> Generator[None]:
    """A provider; and, where it is `up`, a host that has the home to itself, so that verbs can only go through it."""
    playbook = product.write("playbook.yaml", PLAYS)
    with OpenAIServer(playbook, product.folder / "record") as server:
        settings(product, server.url)
        if not up:
            yield
            return
        with product.running("up", "--quiet"):
            until = time.monotonic() + PATIENCE
            while not (product.home / "host.sock").exists():
                assert time.monotonic() < until, "no host"
                time.sleep(0.02)
            yield


@WAYS
def test_a_file_of_prompts_is_sent_watched_and_its_answers_are_written_in_their_order(
    product: Product, up: bool
) -> None:
    prompts = product.folder / "prompts.jsonl"
    prompts.write_text('{"prompt": "one"}\n\n"two"\n{"id": "last", "prompt": "three", "instructions": "Be brief."}\n')
    out = product.folder / "answers.jsonl"
    with provided(product, up):
        sent = product.run("model", "batch", "submit", "default", str(prompts), "--json")
        assert sent.code == 0, sent
        id = json.loads(sent.out)["id"]
        early = product.run("model", "batch", "results", "default", id)
        assert early.code == 2 and f"agenthost model batch watch default {id}" in early.err, early
        done = product.run("model", "batch", "watch", "default", id, "--out", str(out))
        assert done.code == 0 and "3 answered, 0 failed; 9 tokens in, 6 out" in done.err, done
        answers = [json.loads(line) for line in out.read_text().splitlines()]
        assert [(each["id"], each["text"]) for each in answers] == [
            ("1", "You said one"),
            ("3", "You said two"),
            ("last", "You said three"),
        ]
        assert id in product.run("model", "batch", "list", "default").out
        unknown = product.run("model", "batch", "cancel", "default", "batch_9")
        assert unknown.code == 2 and "has no batch 'batch_9'" in unknown.err, unknown


@WAYS
def test_files_are_put_listed_fetched_and_deleted_and_lines_become_vectors_and_models_are_listed(
    product: Product, up: bool
) -> None:
    note = product.folder / "note.txt"
    note.write_bytes(b"first line\n\nsecond line\n")
    with provided(product, up):
        id = json.loads(product.run("model", "files", "put", "default", str(note), "--json").out)["id"]
        listed = product.run("model", "files", "list", "default").out.split("\t")
        assert listed[:4] == [id, "note.txt", "24", "user_data"]
        assert product.run("model", "files", "get", "default", id).out == note.read_text()
        assert product.run("model", "files", "delete", "default", id).code == 0
        gone = product.run("model", "files", "get", "default", id)
        assert gone.code == 2 and f"has no file '{id}'" in gone.err, gone
        lines = [json.loads(line) for line in product.run("model", "embed", "default", str(note)).out.splitlines()]
        assert [line["text"] for line in lines] == ["first line", "second line"]
        assert len({len(line["vector"]) for line in lines}) == 1
        offered = product.run("model", "list", "acme").out.splitlines()
        assert [line.split("\t")[0] for line in offered] == ["acme:scripted"]
        unknown = product.run("model", "list", "acne")
        assert unknown.code == 2 and "Did you mean 'acme'?" in unknown.err, unknown
    away = product.run("model", "list", "acme")
    assert away.code == 1 and "can't be reached at http://127.0.0.1" in away.err, away


@WAYS
def test_a_prompt_a_line_is_answered_where_it_can_be_and_what_failed_is_said(product: Product, up: bool) -> None:
    prompts = product.write("prompts.txt", 'one\n\n  "two", with {braces}  \nnothing answers this\n')
    out = product.folder / "answers.jsonl"
    with provided(product, up):
        done = product.run("model", "batch", "submit", "default", str(prompts), "--watch", "--out", str(out))
        assert done.code == 1, done
        assert "sending 3 requests to default" in done.err and "2 answered, 1 failed" in done.err, done
        listed = product.run("model", "batch", "list", "default").out.split("\t")
        assert listed[1:3] == ["ended", "2 of 3, 1 failed"]
        again = product.run("model", "batch", "results", "default", listed[0], "--json")
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(each["id"], each.get("text")) for each in answers] == [
        ("1", "You said one"),
        ("3", 'You said "two", with {braces}'),
        ("4", None),
    ]
    assert answers[2]["error"]["code"] == "bad-request" and "No reply." in answers[2]["error"]["message"]
    assert again.code == 1 and again.objects() == answers


@WAYS
def test_a_batch_with_a_picture_is_taken_back_before_it_is_answered(product: Product, up: bool) -> None:
    picture = product.write("seen.png", png())
    line = {"prompt": "seen?", "files": [str(picture)], "schema": {"type": "object"}, "effort": "low"}
    prompts = product.write("prompts.jsonl", json.dumps(line))
    with provided(product, up):
        id = json.loads(product.run("model", "batch", "submit", "default", str(prompts), "--json").out)["id"]
        taken = product.run("model", "batch", "cancel", "default", id)
        assert taken.code == 0 and f"{id} canceled" in taken.out, taken
        watched = product.run("model", "batch", "watch", "default", id)
        assert watched.code == 1 and "canceled: 0 answered, 0 failed" in watched.err and not watched.out, watched
        assert product.run("model", "batch", "show", "default", id).out.startswith(f"{id} canceled")
