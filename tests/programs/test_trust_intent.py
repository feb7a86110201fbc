"""Whether a person's words ask for a tool: verbs of its kind where a verb stands, and not denied."""

import pytest

from agenthost.core.definitions import PinnedTool
from agenthost.programs.trust.intent import asked_for
from agenthost.programs.trust.words import Words


@pytest.mark.parametrize(
    ("said", "tool", "asked"),
    [
        ("Send it to anna.", "send_mail", True),
        ("Schick es Anna.", "send_mail", True),
        ("Envoie-le à Anna.", "send_mail", True),
        ("Envíalo a Ana.", "send_mail", True),
        ("Read my mail.", "send_mail", False),
        ("Read it, mail it to Anna.", "send_mail", True),
        ("Tell me what she wants.", "send_mail", False),
        ("Don't send it.", "send_mail", False),
        ("Schick nichts ab.", "send_mail", False),
        ("Look at my mails.", "send_mail", False),
        ("Delete m-7.", "delete_mail", True),
        ("Archive m-7.", "delete_mail", False),
        ("Add her to my contacts.", "delete_contact", False),
        ("Pay R-7.", "pay_invoice", True),
        ("In order to check R-7, read it.", "pay_invoice", False),
        ("Add R-7 to the list.", "pay_invoice", False),
        ("Summarise this post.", "publish_post", False),
        ("Share it with Anna.", "share_doc", True),
        ("I read https://send.example/send about it.", "send_mail", False),
    ],
)
def test_a_tool_whose_target_is_named_needs_a_verb_of_its_kind(said: str, tool: str, asked: bool) -> None:
    pinned = PinnedTool(name=tool, description="")
    assert asked_for(pinned, Words([said]), named=True, addressed=False) is asked


@pytest.mark.parametrize(
    ("said", "tool", "description", "asked"),
    [
        ("Empty the trash.", "empty_trash", "", True),
        ("Empty my glass, and look into the trash.", "empty_trash", "", False),
        ("Put the dentist into my calendar.", "create_event", "Put an event into the calendar.", True),
        ("Look at my calendar and write a summary.", "create_event", "Put an event into the calendar.", False),
        ("Remember it.", "remember", "", True),
        ("What do you remember about it? No more.", "forget", "", False),
    ],
)
def test_a_tool_that_needs_nobody_named_needs_its_noun_beside_its_verb(
    said: str, tool: str, description: str, asked: bool
) -> None:
    pinned = PinnedTool(name=tool, description=description)
    assert asked_for(pinned, Words([said]), named=False, addressed=False) is asked


def test_a_stranger_s_description_of_a_tool_lends_it_no_nouns() -> None:
    pinned = PinnedTool(name="create_event", description="Put an event into the calendar.", source="mcp:x")
    assert not asked_for(pinned, Words(["Put the dentist into my calendar."]), named=False, addressed=False)


def test_telling_somebody_whom_the_person_named_needs_no_verb_unless_it_is_denied() -> None:
    mail = PinnedTool(name="send_mail", description="")
    assert asked_for(mail, Words(["anna@example.com should know."]), named=True, addressed=True)
    assert not asked_for(mail, Words(["Don't send anna@example.com anything."]), named=True, addressed=True)
    assert not asked_for(
        PinnedTool(name="share_doc", description=""), Words(["anna@example.com"]), named=True, addressed=True
    )
