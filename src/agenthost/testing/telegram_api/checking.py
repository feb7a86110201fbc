"""What the Bot API demands of a message: its length, its entities, its buttons."""

import json
from html.parser import HTMLParser
from typing import Any

from agenthost.testing.telegram_api.state import Chat, Json, Refused

TEXT, CAPTION, DATA = 4096, 1024, 64
_TAGS = frozenset(
    (
        "b",
        "strong",
        "i",
        "em",
        "u",
        "ins",
        "s",
        "strike",
        "del",
        "a",
        "code",
        "pre",
        "blockquote",
        "tg-spoiler",
        "span",
        "tg-emoji",
    )
)
_RESERVED = frozenset(">#+-=|{}.!")


def units(text: str) -> int:
    """UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def value(given: Any) -> Any:
    """A parameter that is JSON."""
    try:
        return json.loads(given) if isinstance(given, str) else given
    except json.JSONDecodeError:
        raise Refused(400, "Bad Request: can't parse JSON object") from None


def text(given: Json, key: str = "text", most: int = TEXT) -> Json:
    """A text with its entities, as the message has it."""
    words = str(given.get(key, ""))
    if not words.strip():
        raise Refused(400, "Bad Request: message text is empty")
    mode = given.get("parse_mode", "")
    if mode == "HTML":
        _Html().check(words)
    elif mode in ("MarkdownV2", "Markdown"):
        _markdown(words)
    elif mode:
        raise Refused(400, "Bad Request: unsupported parse_mode")
    if units(words) > most:
        raise Refused(
            400, "Bad Request: message is too long" if key == "text" else "Bad Request: message caption is too long"
        )
    made: Json = {key: words}
    entities = value(given.get("entities" if key == "text" else "caption_entities", []))
    for entity in entities:
        _entity(words, entity)
    return made | ({"entities": entities} if entities else {})


def _entity(words: str, entity: Json) -> None:
    begin, length = int(entity["offset"]), int(entity["length"])
    if begin < 0 or length <= 0 or begin + length > units(words):
        raise Refused(
            400,
            f"Bad Request: entity beginning at UTF-16 offset {begin} ends after the end of the text at UTF-16 offset {begin + length}",
        )
    wide = words.encode("utf-16-le", "surrogatepass")
    for at in (begin, begin + length):
        piece = wide[at * 2 : at * 2 + 2]
        if len(piece) == 2 and 0xDC00 <= int.from_bytes(piece, "little") <= 0xDFFF:
            raise Refused(400, f"Bad Request: entity begins in a middle of a UTF-16 symbol at byte offset {at}")
    if entity["type"] == "text_link" and not entity.get("url"):
        raise Refused(400, "Bad Request: can't parse MessageEntity: Can't find field \"url\"")


class _Html(HTMLParser):
    def check(self, words: str) -> None:
        self.open: list[str] = []
        self.feed(words)
        if self.open:
            raise Refused(
                400,
                f"Bad Request: can't parse entities: Can't find end tag corresponding to start tag \"{self.open[-1]}\"",
            )

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in _TAGS:
            raise Refused(
                400,
                f'Bad Request: can\'t parse entities: Unsupported start tag "{tag}" at byte offset {self.getpos()[1]}',
            )
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            raise Refused(
                400, f"Bad Request: can't parse entities: Unmatched end tag at byte offset {self.getpos()[1]}"
            )


def _markdown(words: str) -> None:
    escaped = False
    for at, sign in enumerate(words):
        if not escaped and sign in _RESERVED:
            raise Refused(
                400,
                f"Bad Request: can't parse entities: Character '{sign}' is reserved and must be escaped with the preceding '\\' (offset {at})",
            )
        escaped = sign == "\\" and not escaped


def markup(given: Json) -> Json:
    """The inline keyboard of a message."""
    made = value(given.get("reply_markup") or "{}")
    for button in (button for row in made.get("inline_keyboard", []) for button in row):
        if not button.get("text"):
            raise Refused(400, 'Bad Request: can\'t parse inline keyboard button: Field "text" must be of type String')
        if "callback_data" in button and not 0 < len(button["callback_data"].encode()) <= DATA:
            raise Refused(400, "Bad Request: BUTTON_DATA_INVALID")
    return {"reply_markup": made} if made.get("inline_keyboard") else {}


def reply(given: Json, chat: Chat) -> Json:
    """What a message replies to."""
    asked = value(given.get("reply_parameters") or "{}")
    if not asked:
        return {}
    found = chat.messages.get(int(asked["message_id"]))
    if found is not None:
        return {"reply_to_message": {key: found[key] for key in found if key != "reply_to_message"}}
    if asked.get("allow_sending_without_reply"):
        return {}
    raise Refused(400, "Bad Request: message to be replied not found")
