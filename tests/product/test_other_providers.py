"""Other providers, whole: the real command, their real SDKs, and servers of their APIs in processes of their own."""

from base64 import b64decode
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agenthost.testing.openai_server.process import OpenAIServer
from tests.product.product import Product
from tests.product.test_main_job import EXAMPLE, LINES, playbook, run_of, runs

MODULE = "agenthost.testing.providers_server"
KEY = "sk-never-shown-0123456789"
NAMES = {"anthropic": "claude-opus-4-5", "google": "gemini-2.5-pro"}
HELPER = """\
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: helper}
spec:
  description: Helps
  instructions: Help.
"""


def pictures(value: Any) -> list[bytes]:
    """The bytes of every picture anywhere in a request."""
    if isinstance(value, dict):
        kind = value.get("media_type") or value.get("mime_type") or value.get("mimeType")
        if kind == "image/png":
            return [b64decode(value["data"].replace("-", "+").replace("_", "/"))]
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [picture for item in inner for picture in pictures(item)]


def server(file: Path, record: Path, **given: Any) -> OpenAIServer:
    return OpenAIServer(file, record, module=MODULE, key=KEY, **given)


@pytest.mark.parametrize("provider", list(NAMES))
def test_a_sketch_goes_in_and_a_checked_program_comes_out_of_another_provider(product: Product, provider: str) -> None:
    with server(playbook(product), product.folder / "record") as running:
        product.without("AGENTHOST_MODEL")
        product.settings(
            f'[models]\ndefault = "{provider}:{NAMES[provider]}"\n'
            f'[models.providers.{provider}]\nbase-url = "{running.url}"\napi-key = "{KEY}"\nlabels = true\n'
        )
        applied = product.run("apply", "-f", str(EXAMPLE / "agents.yaml"), "-f", str(EXAMPLE / "workflow.yaml"))
        assert applied.code == 0, applied
        sketch = str(EXAMPLE / "sketch.png")
        done = product.run("run", "sketch-to-code", "--file", sketch, "--input", "language=python", "--json")
        bodies, answers = running.bodies(), running.answers()
    assert done.code == 0, done
    assert [run["exit_code"] for run in runs(done)] == [1, 0]
    assert run_of(product, done) == LINES
    seen = [pictures(msgspec.json.decode(body)) for body in bodies]
    assert seen == [[(EXAMPLE / "sketch.png").read_bytes()], *[[]] * (len(bodies) - 1)]
    assert [answer.agent for answer in answers][:2] == ["sketch-reader", "coder"]
    assert len({answer.key for answer in answers}) == len(answers) == len(bodies)
    # The ledger is the server's own count, and the money follows from the prices of this model.
    assert product.sql("SELECT count(*), min(spent_cost) > 0 FROM ledger WHERE settled") == [(len(answers), 1)]
    assert KEY not in done.out + done.err
    for file in product.home.rglob("*"):
        if file.is_file() and file.name != "agenthost.toml":
            assert KEY.encode() not in file.read_bytes(), file


def test_where_one_provider_is_down_another_answers_and_each_is_paid_by_its_own_prices(product: Product) -> None:
    down = product.write("down.yaml", "rules:\n  - {fail: {kind: cut}, reply: {text: one two three four}}\n")
    up = product.write(
        "up.yaml",
        "rules:\n  - reply: {text: I am here., usage: {input: 1000, output: 100, cached: 400, cache_written: 500}}\n",
    )
    product.without("AGENTHOST_MODEL")
    product.apply(
        HELPER.replace(
            "  instructions", "  model: openai:gpt-5.5\n  fallbacks: [anthropic:claude-opus-4-5]\n  instructions"
        )
    )
    with (
        OpenAIServer(down, product.folder / "one") as first,
        server(up, product.folder / "two") as second,
    ):
        product.settings(
            "[work]\nattempts = 1\nbackoff = 0\n"
            f'[models.providers.openai]\nbase-url = "{first.url}"\napi-key = "{KEY}"\n'
            f'[models.providers.anthropic]\nbase-url = "{second.url}"\napi-key = "{KEY}"\n'
        )
        done = product.run("run", "helper", "hello", "--json")
    assert done.code == 0, done
    assert "I am here." in done.out
    rows = product.sql("SELECT model, settled, spent_cost, worst_cost FROM ledger ORDER BY attempt")
    (one, settled, cost, worst), (two, settled_two, cost_two, worst_two) = rows
    # The first may have been charged for, so its worst case stands: 5 and 30 USD per million tokens.
    assert (one, settled) == ("openai:gpt-5.5", 0)
    tokens = round((worst - 4096 * 30 / 1e6) * 1e6 / 5)
    assert worst == pytest.approx((tokens * 5 + 4096 * 30) / 1e6)
    # The second: 5 and 25, 0.5 for what was cached, 6.25 for what was written to the cache.
    assert (two, settled_two) == ("claude-opus-4-5", 1)
    assert cost_two == pytest.approx((100 * 5 + 400 * 0.5 + 500 * 6.25 + 100 * 25) / 1e6)
    assert worst_two == pytest.approx((tokens * 6.25 + 4096 * 25) / 1e6)
    assert cost_two < worst_two


@pytest.mark.parametrize(
    "model",
    [
        "openai:who-knows",
        "acme:who-knows",
        "anthropic:who-knows",
        "google:who-knows",
        "mistral:who-knows",
        "bedrock:who-knows",
    ],
)
def test_a_model_without_a_price_isnt_called_on_a_budget_of_money(product: Product, model: str) -> None:
    provider = model.partition(":")[0]
    nowhere = 'base-url = "http://127.0.0.1:9/v1"\napi-key = "some-key"\n'
    product.settings(
        f"[models.providers.{provider}]\n{nowhere}"
        + ('options = {region_name = "eu-west-1"}\n' if provider == "bedrock" else "")
    )
    product.apply(HELPER.replace("  instructions", f"  model: {model}\n  budget: {{cost: 1.00 USD}}\n  instructions"))
    done = product.run("run", "helper", "hello", "--json")
    assert done.code == 1, done
    assert f"the price of '{model}' is not known; set input_price and output_price" in done.out
    assert product.sql("SELECT count(*) FROM ledger") == [(0,)]


def test_a_table_of_ones_own_makes_the_price_known(product: Product) -> None:
    cards = product.write(
        "cards.toml",
        '[[cards]]\nname = "anthropic:who-knows"\nwindow = 100000\nmax_output = 1000\ninput_price = 1.0\noutput_price = 2.0\n',
    )
    up = product.write("up.yaml", "rules:\n  - reply: {text: Here., usage: {input: 1000, output: 100}}\n")
    product.apply(
        HELPER.replace("  instructions", "  model: anthropic:who-knows\n  budget: {cost: 1.00 USD}\n  instructions")
    )
    with server(up, product.folder / "record") as running:
        product.settings(
            f'[models]\ncards-file = "{cards}"\n'
            f'[models.providers.anthropic]\nbase-url = "{running.url}"\napi-key = "{KEY}"\n'
        )
        done = product.run("run", "helper", "hello", "--json")
        bodies = running.bodies()
    assert done.code == 0, done
    assert msgspec.json.decode(bodies[0])["max_tokens"] == 1000
    assert product.sql("SELECT spent_cost FROM ledger")[0][0] == pytest.approx((1000 * 1.0 + 100 * 2.0) / 1e6)


def test_thinking_goes_through_the_journal_and_back_to_its_provider(product: Product) -> None:

    thinks = product.write(
        "thinks.yaml",
        "rules:\n"
        "  - when: {turn: 0}\n"
        "    reply: {text: Let me look., reasoning: a plan, calls: [{tool: list_files, arguments: {}, id: c1}]}\n"
        "  - reply: {text: Nothing is there.}\n",
    )
    product.without("AGENTHOST_MODEL")
    product.apply(HELPER + "  model: anthropic:claude-opus-4-5\n  tools: [workspace]\n  reasoning: low\n")
    with server(thinks, product.folder / "record") as running:
        product.settings(f'[models.providers.anthropic]\nbase-url = "{running.url}"\napi-key = "{KEY}"\n')
        done = product.run("run", "helper", "look", "--json")
        first, second = [msgspec.json.decode(body) for body in running.bodies()]
    assert done.code == 0, done
    assert first["thinking"] == second["thinking"] == {"type": "enabled", "budget_tokens": 2048}
    assert [block["type"] for block in second["messages"][1]["content"]] == ["thinking", "text", "tool_use"]
    replayed = product.run("tasks", "replay", done.objects()[-1]["task"], "--json")
    assert replayed.code == 0, replayed
