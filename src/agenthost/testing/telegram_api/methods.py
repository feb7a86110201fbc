"""The methods of the Bot API that send, edit and fetch. Each takes the parameters and the files of a call and gives its `result`."""

import time
from collections.abc import Callable
from typing import Any

from agenthost.core.media import picture_type
from agenthost.testing.telegram_api import checking
from agenthost.testing.telegram_api.state import Chat, Json, Refused, State

MB = 1024 * 1024
PHOTO, UPLOAD, DOWNLOAD = 10 * MB, 50 * MB, 20 * MB
OLD = 15 * 60.0
"""Seconds after which a press can't be answered any more; Telegram names no number."""
Files = dict[str, tuple[str, bytes]]
_ACTIONS = (
    "typing",
    "upload_photo",
    "record_voice",
    "upload_voice",
    "upload_document",
    "record_video",
    "upload_video",
    "find_location",
)
_REACTIONS = frozenset("👍👎🔥🎉👀🤔👌🙏")


class Methods:
    """Those of one bot."""

    def __init__(self, state: State) -> None:
        self._state = state

    def named(self, name: str) -> Callable[[Json, Files], Any] | None:
        """A method by its name, in any case of letters as Telegram takes it."""
        return {key.lower(): method for key, method in self._all().items()}.get(name.lower())

    def _all(self) -> dict[str, Callable[[Json, Files], Any]]:
        return {
            "getMe": lambda given, files: self._state.me,
            "getChat": lambda given, files: self._state.chat(int(given["chat_id"])).told(),
            "setMyCommands": self._commands,
            "getMyCommands": lambda given, files: self._state.commands,
            "sendMessage": lambda given, files: self._send(given, checking.text(given)),
            "sendPhoto": self._photo,
            "sendDocument": lambda given, files: self._file(given, files, "document", UPLOAD),
            "sendVoice": lambda given, files: self._file(given, files, "voice", UPLOAD),
            "sendAudio": lambda given, files: self._file(given, files, "audio", UPLOAD),
            "sendChatAction": self._action,
            "setMessageReaction": self._react,
            "editMessageText": self._edit,
            "editMessageReplyMarkup": self._edit_markup,
            "deleteMessage": self._delete,
            "answerCallbackQuery": self._answer,
            "getFile": self._get_file,
        }

    def _send(self, given: Json, fields: Json) -> Json:
        state = self._state
        chat = state.chat(int(given["chat_id"]))
        fields = fields | checking.markup(given) | checking.reply(given, chat)
        if thread := given.get("message_thread_id"):
            fields |= {"message_thread_id": int(thread), "is_topic_message": True}
        state.pace(chat)
        return state.post(chat, state.me, fields)

    def _photo(self, given: Json, files: Files) -> Json:
        content = _given(given, files, "photo")[1]
        if len(content) > PHOTO:
            raise Refused(400, "Bad Request: file is too big")
        if picture_type(content) is None:
            raise Refused(400, "Bad Request: IMAGE_PROCESS_FAILED")
        self._state.chat(int(given["chat_id"]))
        size = self._state.file(content) | {"width": 90, "height": 90}
        return self._send(given, _caption(given) | {"photo": [size]})

    def _file(self, given: Json, files: Files, kind: str, most: int) -> Json:
        name, content = _given(given, files, kind)
        if len(content) > most:
            raise Refused(413, "Request Entity Too Large")
        self._state.chat(int(given["chat_id"]))
        made = self._state.file(content) | ({"file_name": name} if kind != "voice" else {})
        return self._send(given, _caption(given) | {kind: made | ({"duration": 1} if kind != "document" else {})})

    def _commands(self, given: Json, files: Files) -> bool:
        self._state.commands = checking.value(given["commands"])
        return True

    def _action(self, given: Json, files: Files) -> bool:
        chat = self._state.chat(int(given["chat_id"]))
        if given.get("action") not in _ACTIONS:
            raise Refused(400, "Bad Request: wrong parameter action in request")
        self._state.actions.append((chat.id, str(given["action"])))
        return True

    def _react(self, given: Json, files: Files) -> bool:
        message = self._message(given)
        wanted = checking.value(given.get("reaction", "[]"))
        if any(one.get("type") == "emoji" and one.get("emoji") not in _REACTIONS for one in wanted):
            raise Refused(400, "Bad Request: REACTION_INVALID")
        message["reaction"] = wanted
        return True

    def _edit(self, given: Json, files: Files) -> Json:
        message = self._own(given)
        new = checking.text(given) | checking.markup(given)
        if all(message.get(key) == new.get(key) for key in _SHOWN):
            raise Refused(400, _SAME)
        for key in _SHOWN:
            message.pop(key, None)
        message |= new | {"edit_date": int(time.time())}
        return message

    def _edit_markup(self, given: Json, files: Files) -> Json:
        message = self._own(given)
        new = checking.markup(given).get("reply_markup")
        if message.get("reply_markup") == new:
            raise Refused(400, _SAME)
        message.pop("reply_markup", None)
        if new:
            message["reply_markup"] = new
        return message

    def _delete(self, given: Json, files: Files) -> bool:
        message = self._message(given)
        self._chat(given).messages.pop(message["message_id"])
        return True

    def _answer(self, given: Json, files: Files) -> bool:
        asked = self._state.presses.pop(str(given.get("callback_query_id", "")), 0.0)
        if time.time() - asked > OLD:
            raise Refused(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        self._state.answered.append(str(given["callback_query_id"]))
        return True

    def _get_file(self, given: Json, files: Files) -> Json:
        id = str(given.get("file_id", ""))
        content = self._state.files.get(id)
        if content is None:
            raise Refused(400, "Bad Request: invalid file_id")
        if len(content) > DOWNLOAD:
            raise Refused(400, "Bad Request: file is too big")
        return {"file_id": id, "file_unique_id": f"u{id}", "file_size": len(content), "file_path": f"documents/{id}"}

    def _chat(self, given: Json) -> Chat:
        return self._state.chat(int(given["chat_id"]))

    def _message(self, given: Json) -> Json:
        found = self._chat(given).messages.get(int(given.get("message_id", 0)))
        if found is None:
            raise Refused(400, "Bad Request: message to edit not found")
        return found

    def _own(self, given: Json) -> Json:
        found = self._message(given)
        if found["from"]["id"] != self._state.me["id"]:
            raise Refused(400, "Bad Request: message can't be edited")
        return found


_SHOWN = ("text", "entities", "reply_markup")
_SAME = (
    "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a "
    "current content and reply markup of the message"
)


def _given(given: Json, files: Files, kind: str) -> tuple[str, bytes]:
    """An uploaded file: sent as such, or named by `attach://`."""
    named = str(given.get(kind, ""))
    found = files.get(named.removeprefix("attach://")) or files.get(kind)
    if found is None:
        raise Refused(400, f"Bad Request: there is no {kind} in the request")
    if not found[1]:
        raise Refused(400, "Bad Request: file must be non-empty")
    return found


def _caption(given: Json) -> Json:
    return checking.text(given, "caption", checking.CAPTION) if given.get("caption") else {}
