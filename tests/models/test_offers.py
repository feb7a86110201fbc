"""What OpenAI's API does besides answering, over real sockets: there, not there, and badly there."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import web

from agenthost.core.errors import AgentHostError, BadInput, NotFound, Permanent, Temporary, Unavailable
from agenthost.core.ids import digest
from agenthost.core.models import ModelCard
from agenthost.core.offers import Drawing, Speech
from agenthost.core.parts import DataPart, FilePart, TextPart
from agenthost.core.ports import Abilities
from agenthost.core.tools import ToolSpec
from agenthost.models.abilities import NoAbilities
from agenthost.models.catalog import Catalog
from agenthost.models.limits import Limiter
from agenthost.models.openai.offers import OpenAIOffers
from agenthost.models.playbook import Fail
from agenthost.models.settings import ModelSettings, Provider, ProviderSettings
from agenthost.testing.models import PICTURE, asked
from agenthost.testing.openai_server import record
from agenthost.testing.openai_server.offers import Offers
from tests.models.conftest import KEY, Bench, read

SAID = {"rules": [{"reply": {"text": "Hello."}}]}
SHOWN = FilePart(digest(PICTURE), "image/png", len(PICTURE))
WAV = b"RIFF" + b"\0" * 40 + b"hello there"
Use = Callable[[Abilities], Awaitable[Any]]

USES: dict[str, tuple[str, str, Use]] = {
    "embeddings": ("embeddings", "embeddings", lambda one: one.embed(["a"])),
    "moderation": ("moderations", "moderation", lambda one: one.moderate([TextPart("a")])),
    "pictures": ("images/generations", "pictures", lambda one: one.draw(Drawing("a"))),
    "changes": ("images/edits", "changing of pictures", lambda one: one.draw(_change())),
    "speech": ("audio/speech", "speech", lambda one: one.speak(Speech("a"))),
    "transcription": ("audio/transcriptions", "transcription", lambda one: one.transcribe(WAV, "audio/wav")),
    "file": ("files", "files", lambda one: one.put_file("a.txt", b"a", "user_data")),
    "batch": ("batches", "batches", lambda one: one.start_batch({"a": asked("?")})),
}
"""What is done, by its end of a path: what the message calls it, and how."""


def _change() -> Drawing:
    return Drawing("a", images=((PICTURE, "image/png"),))


def offers(bench: Bench, url: str, name: str = "m", key: str = "", card: Any = None, **settings: Any) -> OpenAIOffers:
    provider = Provider("acme", ProviderSettings(base_url=url, **settings), key, "ACME_KEY", "ACME_URL")
    return OpenAIOffers(
        ModelCard(name, **(card or {})), provider, bench.sessions, settings.get("limiter") or Limiter(), read
    )


async def served(bench: Bench, given: Offers | None = None, name: str = "m", **more: Any) -> OpenAIOffers:
    return offers(bench, await bench.server(SAID, offers=given or Offers()), name, **more)


async def fails(work: Awaitable[Any], kind: type[AgentHostError]) -> AgentHostError:
    with pytest.raises(kind) as caught:
        await work
    return caught.value


# --- embeddings ----------------------------------------------------------------------------------


async def test_every_text_has_its_vector_in_order_over_several_requests(bench: Bench) -> None:
    made = await served(bench)
    texts = [f"word{number}" for number in range(600)]
    found = await made.embed(texts)
    assert len(found.vectors) == 600 and found.usage.input == 600
    assert [len(body["input"]) for body in bench.bodies()] == [256, 256, 88]
    for number in (0, 255, 256, 599):
        assert (await made.embed([texts[number]])).vectors[0] == found.vectors[number]


async def test_long_texts_go_in_requests_of_their_own(bench: Bench) -> None:
    made = await served(bench)
    assert len((await made.embed(["x" * 200_000] * 3)).vectors) == 3
    assert len(bench.bodies()) == 3
    assert (await made.embed([])).vectors == ()
    assert len(bench.bodies()) == 3


async def test_vectors_that_come_in_another_order_are_put_in_ours(bench: Bench) -> None:
    def twist(path: str, body: dict[str, Any]) -> Any:
        return body | {"data": body["data"][::-1]}

    straight, turned = await served(bench), await served(bench, Offers(twist=twist))
    texts = ["one", "two", "three"]
    assert (await turned.embed(texts)).vectors == (await straight.embed(texts)).vectors


@pytest.mark.parametrize(
    "data",
    [
        [{"index": 0, "embedding": [0.5]}],
        [{"index": 0, "embedding": [0.5]}, {"index": 1, "embedding": [0.5, 0.5]}],
        [{"index": 0, "embedding": []}, {"index": 1, "embedding": []}],
        [{"index": 0, "embedding": "AAAA"}, {"index": 1, "embedding": "AAAA"}],
        None,
    ],
)
async def test_vectors_that_cannot_be_are_refused(bench: Bench, data: Any) -> None:
    made = await served(bench, Offers(twist=lambda path, body: body | {"data": data}))
    error = await fails(made.embed(["a", "b"]), Temporary)
    assert error.code == "bad-answer"


# --- moderation ----------------------------------------------------------------------------------


async def test_words_are_judged_as_plain_text(bench: Bench) -> None:
    made = await served(bench)
    good, bad = await made.moderate([TextPart("peace")]), await made.moderate([TextPart("a"), DataPart({"b": "harm"})])
    assert (good.flagged, bad.flagged) == (False, True)
    assert bad.scores["violence"] > 0.9 > good.scores["violence"]
    assert bench.bodies()[1]["input"] == 'a\n{"b":"harm"}'


async def test_each_picture_is_judged_alone_and_the_worst_counts(bench: Bench) -> None:
    made = await served(bench)
    found = await made.moderate([TextPart("harm"), SHOWN, SHOWN])
    assert found.flagged and found.scores["violence"] > 0.9
    kinds = [[piece["type"] for piece in body["input"]] for body in bench.bodies()]
    assert kinds == [["text", "image_url"], ["image_url"]]
    await fails(made.moderate([]), BadInput)


# --- pictures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "inline"), [("dall-e-3", True), ("gpt-image-1", False), ("flux", True)])
async def test_a_picture_is_drawn_and_asked_for_inline_only_where_that_is_known(
    bench: Bench, name: str, inline: bool
) -> None:
    made = await served(bench, name=name, extra={"seed": 1})
    found = await made.draw(Drawing("a cat", "16x8", "high"))
    assert found.content.startswith(b"\x89PNG") and found.media_type == "image/png"
    assert found.revised == "A drawing: a cat" and found.usage.output == 272 and found.cost is None
    expected = {"model": name, "prompt": "a cat", "size": "16x8", "quality": "high"}
    assert bench.bodies()[0] == expected | ({"response_format": "b64_json"} if inline else {})


async def test_pictures_are_changed(bench: Bench) -> None:
    given = Offers()
    made = await served(bench, given, "gpt-image-1", key=KEY)
    assert (await made.draw(_change())).content.startswith(b"\x89PNG")
    two = Drawing("b", images=((PICTURE, "image/png"), (PICTURE, "image/jpeg")))
    assert (await made.draw(two)).revised == "A drawing: b"
    assert given.forms[0] == {"model": "gpt-image-1", "prompt": "a", "image": ("0.png", "image/png", PICTURE)}
    assert [file[:2] for file in given.forms[1]["image[]"]] == [("0.png", "image/png"), ("1.jpg", "image/jpeg")]
    await fails(made.draw(Drawing("c", images=((b"x", "text/plain"),))), BadInput)
    await fails(made.draw(Drawing("")), BadInput)


async def test_a_picture_costs_by_its_tokens_or_at_most_its_price(bench: Bench) -> None:
    by_tokens = await served(bench, card={"input_price": 5.0, "output_price": 40.0, "image_price": 0.2})
    assert (await by_tokens.draw(Drawing("cat"))).cost == pytest.approx((5 + 272 * 40) / 1e6)

    def uncounted(path: str, body: dict[str, Any]) -> Any:
        return body | {"usage": None}

    by_picture = await served(bench, Offers(twist=uncounted), card={"image_price": 0.2})
    assert (await by_picture.draw(Drawing("cat"))).cost == 0.2


async def test_an_address_is_followed_to_the_providers_own_host_only(bench: Bench) -> None:
    own = await served(bench, Offers(links=""))
    assert (await own.draw(Drawing("a"))).content.startswith(b"\x89PNG")
    asked_for: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        asked_for.append(request.path)
        return web.Response(body=PICTURE)

    app = web.Application()
    app.router.add_get("/{path:.*}", elsewhere)
    foreign = await served(bench, Offers(links=await bench.serve(app)))
    error = await fails(foreign.draw(Drawing("a")), Permanent)
    assert "127.0.0.1" in error.message and asked_for == []


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"b64_json": "%%%"},
        {"b64_json": "aGVsbG8="},
        {"url": "file:///etc/passwd"},
        {"url": "http://[x"},
        {"b64_json": 7},
    ],
)
async def test_what_is_no_picture_is_refused(bench: Bench, entry: dict[str, Any]) -> None:
    made = await served(bench, Offers(twist=lambda path, body: {"data": [entry]}))
    assert (await fails(made.draw(Drawing("a")), Temporary)).code == "bad-answer"


# --- sound ---------------------------------------------------------------------------------------


async def test_what_is_spoken_can_be_heard(bench: Bench) -> None:
    given = Offers()
    made = await served(bench, given, card={"character_price": 15.0})
    spoken = await made.speak(Speech("hello there", "nova", "wav", 1.5, "softly"))
    assert spoken.media_type == "audio/wav" and spoken.cost == pytest.approx(11 * 15 / 1e6)
    body = bench.bodies()[0]
    assert (body["voice"], body["speed"], body["instructions"]) == ("nova", 1.5, "softly")
    heard = await made.transcribe(spoken.content, spoken.media_type, "en")
    assert (heard.text, heard.language, heard.duration) == ("hello there", "en", 1.1)
    assert given.forms[0]["file"] == ("recording.wav", "audio/wav", spoken.content)


async def test_only_what_knows_it_is_asked_for_the_long_form(bench: Bench) -> None:
    given = Offers()
    url = await bench.server(SAID, offers=given)
    for name in ("whisper-1", "gpt-4o-transcribe", "parakeet"):
        assert (await offers(bench, url, name).transcribe(WAV, "audio/x-wav; rate=8000")).text == "hello there"
    assert [form["response_format"] for form in given.forms] == ["verbose_json", "json", "verbose_json"]
    short = await offers(bench, url, "gpt-4o-transcribe").transcribe(WAV, "audio/wav", "de")
    assert (short.language, short.duration, short.usage.input) == ("de", 0.0, 14)


async def test_sound_that_cannot_be_is_said_before_anything_is_sent(bench: Bench) -> None:
    made = await served(bench)
    await fails(made.speak(Speech("a", format="midi")), BadInput)
    await fails(made.speak(Speech(" ")), BadInput)
    assert "MP3" in (await fails(made.transcribe(b"x", "image/png"), BadInput)).message
    assert bench.bodies() == []
    assert (await fails(made.transcribe(b"noise", "audio/wav"), Permanent)).code == "bad-request"


# --- files ---------------------------------------------------------------------------------------


async def test_files_are_kept_listed_fetched_and_deleted(bench: Bench) -> None:
    made = await served(bench)
    assert await made.files() == []
    kept = [await made.put_file(f"né {number}.txt", b"\0" * number, "user_data") for number in range(5)]
    assert (kept[3].size, kept[3].name, kept[3].purpose) == (3, "né 3.txt", "user_data")
    assert await made.files() == kept  # the server gives two to a page
    assert await made.get_file(kept[4].id) == b"\0" * 4
    await made.delete_file(kept[0].id)
    assert await made.files() == kept[1:]
    for gone in (kept[0].id, "../models", "", ".."):
        assert isinstance(await fails(made.get_file(gone), NotFound), NotFound)
    await fails(made.delete_file(kept[0].id), NotFound)


async def test_a_large_file_comes_back_whole_and_a_name_of_two_lines_is_refused(bench: Bench) -> None:
    made = await served(bench)
    content = bytes(range(256)) * 12_000
    kept = await made.put_file('a "b".bin', content, "user_data")
    assert digest(await made.get_file(kept.id)) == digest(content)
    assert (await made.files())[0].name == 'a "b".bin'
    await fails(made.put_file("a\r\nb", b"", "user_data"), BadInput)


async def test_a_list_that_goes_round_in_circles_ends(bench: Bench) -> None:
    made = await served(bench, Offers(twist=lambda path, body: body | {"has_more": True}))
    await made.put_file("a", b"a", "user_data")
    assert len(await made.files()) == 1


# --- batches -------------------------------------------------------------------------------------

TOOL = ToolSpec("net.fetch", "Fetches.", {"type": "object", "properties": {}})


@pytest.mark.parametrize("wire", ["chat", "responses"])
async def test_a_batch_is_answered_by_name_as_live_calls_are(bench: Bench, wire: Any) -> None:
    url = await bench.server(
        {
            "rules": [
                {"when": {"says": "one"}, "reply": {"text": "First."}},
                {"when": {"says": "two"}, "reply": {"text": "Second."}},
            ]
        },
        offers=Offers(),
    )
    made = offers(bench, url, wire=wire, extra={"seed": 1})
    begun = await made.start_batch({"b": asked("two"), "a": asked("one"), "c": asked("three")})
    assert begun.state == "waiting" and begun.created
    assert (await made.batch(begun.id)).state == "running"
    ended = await offers(bench, url, wire=wire).batch(begun.id)  # another process finds it by its id
    assert (ended.state, ended.total, ended.done, ended.failed) == ("ended", 3, 2, 1)
    live = await made.answer(asked("one"), lambda delta: None)
    live_body = msgspec.json.decode(record.bodies(bench.folder)[-1])
    first, second, third = (ended.answers[name] for name in "abc")
    assert first.answer is not None and second.answer is not None and third.failure is not None
    assert (first.answer.text, second.answer.text, first.answer.usage) == ("First.", "Second.", live.usage)
    assert third.failure.code == "bad-request" and not third.failure.temporary
    assert [batch.id for batch in await made.batches()] == [begun.id]
    lines = [msgspec.json.decode(line) for line in (await made.get_file("file-1")).splitlines()]
    assert [line["custom_id"] for line in lines] == ["b", "a", "c"]
    for field in ("stream", "stream_options"):
        live_body.pop(field, None)
    assert lines[1]["body"] == live_body and live_body["seed"] == 1


async def test_a_batch_keeps_the_names_of_tools(bench: Bench) -> None:
    call = {"tool": "net.fetch", "arguments": {"a": 1}}
    made = offers(bench, await bench.server({"rules": [{"reply": {"calls": [call]}}]}))
    begun = await made.start_batch({"a": asked("?", tools=(TOOL,))})
    await made.batch(begun.id)
    answer = (await made.batch(begun.id)).answers["a"].answer
    assert answer is not None and answer.calls[0].name == "net.fetch"
    many = tuple(msgspec.structs.replace(TOOL, name=f"net.{number}") for number in range(17))
    await fails(made.start_batch({"a": asked("?", tools=many)}), BadInput)
    await fails(made.start_batch({}), BadInput)


async def test_a_batch_is_canceled_and_an_unknown_one_is_not_found(bench: Bench) -> None:
    made = await served(bench)
    begun = [await made.start_batch({"a": asked("?")}) for _ in range(3)]
    assert (await made.cancel_batch(begun[0].id)).state == "canceled"
    found = await made.batch(begun[0].id)
    assert (found.state, found.answers) == ("canceled", {})
    assert [batch.state for batch in await made.batches()] == ["canceled", "waiting", "waiting"]  # over two pages
    for id in ("batch_9", "a/b"):
        await fails(made.batch(id), NotFound)
        await fails(made.cancel_batch(id), NotFound)


async def test_what_a_batch_does_not_answer_says_why(bench: Bench) -> None:
    lines = [
        {"custom_id": "late", "response": None, "error": {"code": "batch_expired", "message": "Too late."}},
        {"custom_id": "stopped", "response": None, "error": {"code": "batch_cancelled", "message": ""}},
        {"custom_id": "busy", "response": {"status_code": 429, "body": {"error": {"message": "Slow."}}}},
        {"custom_id": "odd", "response": {"status_code": 200, "body": {"choices": []}}},
    ]
    shown = {"id": "b", "status": "expired", "error_file_id": "f", "errors": {"data": [{"message": "A day has gone."}]}}
    content = b"\n\n".join(msgspec.json.encode(line) for line in lines)
    app = web.Application()
    app.router.add_get("/v1/batches/b", answering(msgspec.json.encode(shown)))
    app.router.add_get("/v1/batches/odd", answering(b'{"id": "b", "status": "dreaming"}'))
    app.router.add_get("/v1/batches/torn", answering(msgspec.json.encode(shown | {"error_file_id": "torn"})))
    app.router.add_get("/v1/files/f/content", answering(content))
    app.router.add_get("/v1/files/torn/content", answering(content[:-9]))
    made = offers(bench, await bench.serve(app) + "/v1")
    found = await made.batch("b")
    assert (found.state, found.reason) == ("expired", "A day has gone.")
    failed = {name: (one.failure.code, one.failure.temporary) for name, one in found.answers.items() if one.failure}
    assert failed == {
        "late": ("provider-error", True),
        "stopped": ("canceled", False),
        "busy": ("rate-limit", True),
        "odd": ("bad-answer", True),
    }
    for id in ("odd", "torn"):
        assert (await fails(made.batch(id), Temporary)).code == "bad-answer"


async def test_a_batch_that_is_refused_leaves_no_file_behind(bench: Bench) -> None:
    made = await served(bench, Offers(absent=("batches",)))
    await fails(made.start_batch({"a": asked("?")}), Unavailable)
    assert await made.files() == []


# --- missing, failing, nonsense -------------------------------------------------------------------


def answering(content: bytes, status: int = 200, kind: str = "application/json") -> Any:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=content, status=status, content_type=kind)

    return answer


async def everywhere(bench: Bench, content: bytes, status: int = 200, kind: str = "application/json") -> OpenAIOffers:
    """A provider that always gives the same answer."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answering(content, status, kind))
    return offers(bench, await bench.serve(app) + "/v1")


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("status", [404, 405, 501])
async def test_an_ability_that_is_missing_is_named_with_the_setting(bench: Bench, use: str, status: int) -> None:
    path, what, work = USES[use]
    made = await served(bench, Offers(absent=(path,), missing=status))
    error = await fails(work(made), Unavailable)
    assert f"the provider acme has no {what} " in error.message and "ACME_URL" in error.message


@pytest.mark.parametrize("use", USES)
async def test_a_model_that_is_missing_is_another_matter(bench: Bench, use: str) -> None:
    path, _, work = USES[use]
    made = await served(bench, Offers(troubles={path: [Fail("not-found")]}))
    error = await fails(work(made), Permanent)
    assert error.code == "not-found" and "has no model 'm'" in error.message


async def test_what_the_server_says_of_it_is_passed_on(bench: Bench) -> None:
    said = {"error": {"code": 501, "message": "Start it with --embeddings", "type": "not_supported_error"}}
    made = await everywhere(bench, msgspec.json.encode(said), 501)
    assert "Start it with --embeddings" in (await fails(made.embed(["a"]), Unavailable)).message


async def test_files_and_batches_that_are_missing_are_missing_to_every_question(bench: Bench) -> None:
    made = await served(bench, Offers(absent=("files", "batches")))
    await fails(made.files(), Unavailable)
    await fails(made.get_file("f"), Unavailable)
    await fails(made.delete_file("f"), Unavailable)
    await fails(made.batches(), Unavailable)
    await fails(made.batch("b"), Unavailable)
    await fails(made.cancel_batch("b"), Unavailable)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("kind", "code", "sent"),
    [
        ("rate-limit", "rate-limit", False),
        ("server-error", "provider-error", False),
        ("overloaded", "provider-error", False),
        ("cut", "disconnected", True),
    ],
)
async def test_what_may_work_later_is_temporary_and_does_then(
    bench: Bench, use: str, kind: Any, code: str, sent: bool
) -> None:
    path, _, work = USES[use]
    made = await served(bench, Offers(troubles={path: [Fail(kind, retry=0.01)]}))
    error = await fails(work(made), Temporary)
    assert isinstance(error, Temporary) and (error.code, error.sent) == (code, sent)
    if kind == "rate-limit":
        assert error.delay == 0.01
    await work(made)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("kind", ["auth", "quota"])
async def test_a_key_without_right_or_money_is_permanent_and_stays_unsaid(bench: Bench, use: str, kind: Any) -> None:
    path, _, work = USES[use]
    fail = Fail(kind, message=f"No: {KEY}")
    made = await served(bench, Offers(troubles={path: [fail]}), key=KEY)
    error = await fails(work(made), Permanent)
    assert error.code == kind and KEY not in error.message


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    "content", [b"<html>It works!</html>", b'{"data": [{"emb', b"[]", b'{"data": 7, "results": {}, "text": 1, "id": 2}']
)
async def test_nonsense_is_a_bad_answer(bench: Bench, use: str, content: bytes) -> None:
    kind = "text/html" if content[:1] == b"<" else "application/json"
    made = await everywhere(bench, content, kind=kind)
    error = await fails(USES[use][2](made), Temporary)
    assert isinstance(error, Temporary) and error.code == "bad-answer" and error.sent


async def test_an_error_in_place_of_an_answer_is_what_it_says(bench: Bench) -> None:
    made = await everywhere(bench, b'{"error": {"message": "None left.", "code": "insufficient_quota"}}')
    for use, (_, _, work) in USES.items():
        if use != "speech":
            assert (await fails(work(made), Permanent)).code == "quota"


async def test_a_look_that_fails_cost_nothing(bench: Bench) -> None:
    cuts = {path: [Fail("cut")] * 2 for path in ("files", "batches/{id}")}  # the client asks once more by itself
    made = await served(bench, Offers(troubles=cuts))
    looks: tuple[Callable[[], Awaitable[Any]], ...] = (made.files, lambda: made.batch("b"))
    for look in looks:
        error = await fails(look(), Temporary)
        assert isinstance(error, Temporary) and not error.sent


# --- by name -------------------------------------------------------------------------------------


async def test_the_catalogue_finds_abilities_by_the_names_of_models(bench: Bench, tmp_path: Any) -> None:
    async def secret(name: str) -> str | None:
        return None

    playbook = tmp_path / "playbook.json"
    playbook.write_bytes(msgspec.json.encode(SAID))
    url = await bench.server(SAID)
    settings = msgspec.convert(
        {
            "default": "search",
            "providers": {"acme": {"base-url": url}, "played": {"kind": "scripted", "playbook": str(playbook)}},
            "names": {"search": {"model": "acme:embedder", "card": {"input_price": 1.0}}},
        },
        ModelSettings,
    )
    catalog = Catalog(settings, read, {}, secret)
    try:
        for name in ("default", "search", "acme:embedder"):
            found = await catalog.abilities(name)
            assert found.card.name == "embedder" and (await found.embed(["a"])).model == "embedder"
        assert (await catalog.abilities("search")).card.input_price == 1.0
        await fails(catalog.abilities("serch"), NotFound)
        await fails(catalog.abilities("openai:gpt-image-1"), Unavailable)
        error = await fails((await catalog.abilities("played:")).embed(["a"]), Unavailable)
        assert "has no embeddings" in error.message
    finally:
        await catalog.close()


@pytest.mark.parametrize("use", USES)
async def test_a_provider_that_does_nothing_else_says_so(use: str) -> None:
    error = await fails(USES[use][2](NoAbilities("played:x")), Unavailable)
    assert "'played:x' has no " in error.message
