"""`agenthost model batch`, `files`, `embed` and `list PROVIDER` as a person uses them, against a server of OpenAI's API."""

import json

from agenthost.testing.openai_server.process import OpenAIServer
from tests.product.product import Product

PLAYS = """\
rules:
  - reply: {text: "You said {{said}}", usage: {input: 3, output: 2}}
"""


def settings(product: Product, url: str) -> None:
    product.without("AGENTHOST_MODEL")
    product.settings(f'[models]\ndefault = "acme:m"\n[models.providers.acme]\nbase-url = "{url}"\n')


def test_a_file_of_prompts_is_sent_watched_and_its_answers_are_written_in_their_order(product: Product) -> None:
    playbook = product.folder / "playbook.yaml"
    playbook.write_text(PLAYS)
    prompts = product.folder / "prompts.jsonl"
    prompts.write_text('{"prompt": "one"}\n\n"two"\n{"id": "last", "prompt": "three", "instructions": "Be brief."}\n')
    out = product.folder / "answers.jsonl"
    with OpenAIServer(playbook, product.folder / "record") as server:
        settings(product, server.url)
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


def test_files_are_put_listed_fetched_and_deleted_and_lines_become_vectors_and_models_are_listed(
    product: Product,
) -> None:
    playbook = product.folder / "playbook.yaml"
    playbook.write_text(PLAYS)
    note = product.folder / "note.txt"
    note.write_bytes(b"first line\n\nsecond line\n")
    with OpenAIServer(playbook, product.folder / "record") as server:
        settings(product, server.url)
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
    away = product.run("model", "list", "acme")
    assert away.code == 1 and "can't be reached at http://127.0.0.1" in away.err, away
    unknown = product.run("model", "list", "acne")
    assert unknown.code == 2 and "Did you mean 'acme'?" in unknown.err, unknown
