"""Speech made and understood. Source: OpenAI's API reference, "Audio"."""

from typing import Any

import msgspec
from msgspec import Struct

from agenthost.core.errors import BadInput
from agenthost.core.models import ModelCard, Usage
from agenthost.core.offers import Media, Speech, Transcript
from agenthost.models.attempts import BYTES_A_TOKEN
from agenthost.models.openai.offers.asking import Asking, Form, Upload

_VOICE = "alloy"  # OpenAI's first voice, whose name other servers take as well
_FORMATS = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "aac": "audio/aac",
    "pcm": "audio/pcm",
}
_ENDS = {  # servers tell a recording's format by the end of its name
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/ogg": "ogg",
    "audio/opus": "ogg",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "audio/mp4": "m4a",
    "audio/x-m4a": "m4a",
    "audio/webm": "webm",
    "video/webm": "webm",
    "video/mp4": "mp4",
}


class _Used(Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None


class _Heard(Struct):
    text: str
    language: str | None = None
    duration: float | None = None
    usage: _Used | None = None


_heard = msgspec.json.Decoder(_Heard)


async def speak(asking: Asking, card: ModelCard, wanted: Speech) -> Media:
    """Speak words; what comes is as the server calls it, else of the format that was asked for."""
    if not wanted.text.strip():
        raise BadInput("give words to be spoken: the text is empty")
    if wanted.format not in _FORMATS:
        raise BadInput(f"speech can't be had as {wanted.format!r}. Take one of {', '.join(_FORMATS)}.")
    body: dict[str, Any] = {"model": card.name, "input": wanted.text, "voice": wanted.voice or _VOICE}
    body["response_format"] = wanted.format
    if wanted.speed != 1.0:
        body["speed"] = wanted.speed
    if wanted.manner:
        body["instructions"] = wanted.manner
    tokens = len(wanted.text.encode()) // BYTES_A_TOKEN
    data, kind = await asking.post("speech", "audio/speech", body, tokens)
    if not data or kind.startswith("text/") or kind.endswith("json"):
        raise asking.bad("it holds no sound")
    cost = None if card.character_price is None else len(wanted.text) * card.character_price / 1_000_000
    return Media(data, kind if kind.startswith("audio/") else _FORMATS[wanted.format], card.name, cost=cost)


async def transcribe(asking: Asking, card: ModelCard, audio: bytes, media_type: str, language: str) -> Transcript:
    """Write down what is said in a recording. `language`: as ISO 639-1 has it, empty where unknown."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind not in _ENDS:
        raise BadInput(
            f"a recording of type {kind or 'unknown'} can't be transcribed. Give MP3, WAV, Ogg, FLAC, MP4 or WebM."
        )
    form: Form = [("model", card.name)]
    if language:
        form.append(("language", language))
    # Only Whisper knows this format at OpenAI; it alone tells the language and how long the recording is.
    verbose = "whisper" in card.name or (not asking.official and "transcribe" not in card.name)
    form.append(("response_format", "verbose_json" if verbose else "json"))
    form.append(("file", Upload(f"recording.{_ENDS[kind]}", audio, kind)))
    body = asking.read(await asking.post_form("transcription", "audio/transcriptions", form), _heard)
    used = body.usage or _Used()
    usage = Usage(used.input_tokens or 0, used.output_tokens or 0)
    return Transcript(body.text.strip(), body.language or language, body.duration or 0.0, card.name, usage)
