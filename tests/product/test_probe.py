"""`agenthost model probe`, `show` and `list` as a person uses them, against servers that lie and one that doesn't."""

import json

import pytest

from agenthost.testing.openai_server.mind import Vices
from agenthost.testing.openai_server.process import OpenAIServer
from tests.product.product import Product

LIAR = Vices(tools="ignored", context=4096, images="guessed")


def settings(product: Product, url: str, card: str = "") -> None:
    product.without("AGENTHOST_MODEL")
    product.settings(
        f'[models]\ndefault = "small"\n[models.providers.acme]\nbase-url = "{url}"\n'
        f'[models.names.small]\nmodel = "acme:m"\n{card}'
    )


def test_a_liar_is_found_kept_and_shown(product: Product) -> None:
    with OpenAIServer(LIAR, product.folder / "record") as server:
        settings(product, server.url)
        before = product.run("model", "show", "small")
        assert before.code == 0, before
        assert "never probed" in before.err
        done = product.run("model", "probe", "default", "--quick")
        assert done.code == 0, done
        assert "this takes about" in done.out.splitlines()[0]
        assert "used " in done.out
        assert "native calls     no" in done.out
    # It is kept under the name that `default` stands for, so that no server is needed to show it.
    shown = product.run("model", "show", "small")
    assert "grammar (claimed: native)" in shown.out
    assert "no (claimed: yes)" in shown.out
    assert "it takes pictures and doesn't see them" in shown.out
    told = json.loads(product.run("model", "show", "default", "--json").out)
    assert told["stands_for"] == ["small", "acme:m"]
    assert told["card"]["calling"] == "grammar"
    assert told["card"]["window"] <= 4096 < told["claimed"]["window"]
    listed = {line.split("\t")[0]: line.split("\t") for line in product.run("model", "list").out.splitlines()}
    assert listed["small"][3:5] == ["no", "grammar"]
    assert listed["small"][5]
    assert listed["default"][4] == "grammar"


def test_what_a_person_set_wins_over_what_was_found(product: Product) -> None:
    with OpenAIServer(LIAR, product.folder / "record") as server:
        settings(product, server.url, 'card = {calling = "fenced", images = true, window = 9000}\n')
        assert product.run("model", "probe", "small", "--quick").code == 0
    card = json.loads(product.run("model", "show", "small", "--json").out)["card"]
    assert (card["calling"], card.get("images", True), card["window"]) == ("fenced", True, 9000)


def test_an_honest_server_is_probed_in_json_through_a_host_that_is_up(product: Product) -> None:
    with OpenAIServer(Vices(), product.folder / "record") as server:
        settings(product, server.url)
        with product.running("up") as host:
            assert host.stdout is not None
            host.stdout.readline()
            done = product.run("model", "probe", "small", "--context", "4000", "--json")
            assert done.code == 0, done
            (found,) = done.objects()
            assert found["native"] and found["schema"] and found["images"] and found["window"] == 4000
            assert "notes" not in found
            # The host that is up goes by it at once.
            assert json.loads(product.run("model", "show", "small", "--json").out)["fitness"] == found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("probe", "nonesuch"), "there is no model 'nonesuch'"),
        (("show", "nonesuch"), "there is no model 'nonesuch'"),
        (("probe", "small", "--context", "10"), "is too short to probe; give at least 1,000"),
    ],
)
def test_bad_input_is_refused_in_a_line(product: Product, words: tuple[str, ...], said: str) -> None:
    settings(product, "http://127.0.0.1:9/v1")
    done = product.run("model", *words)
    assert done.code == 2, done
    assert said in done.err and len(done.err.splitlines()) == 1
