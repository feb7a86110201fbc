"""Who we are to the function: Google's ID token, and the signature by the shared secret."""

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from base64 import urlsafe_b64decode
from urllib.parse import quote

from agenthost.core.errors import Unavailable
from agenthost.sandboxes.functions.settings import FunctionsSettings, Post

METADATA = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/identity"
_COMMAND_SECONDS = 30.0
_SPARE_SECONDS = 300.0
_LONGEST = 16384


class Identity:
    """Tokens, kept until five minutes before they end. `get` is a GET in the shape of `Post`, for the metadata server."""

    def __init__(self, settings: FunctionsSettings, get: Post) -> None:
        self._settings = settings
        self._get = get
        self._token = ""
        self._until = 0.0
        self._lock = asyncio.Lock()

    async def header(self) -> dict[str, str]:
        """The header that shows who calls. Raises Unavailable, which says what to do."""
        if self._settings.identity == "none":
            return {}
        async with self._lock:
            if time.time() > self._until:
                self._token = await (self._asked() if self._settings.identity == "metadata" else self._printed())
                self._until = _end(self._token) - _SPARE_SECONDS
            return {"Authorization": f"Bearer {self._token}"}

    async def _asked(self) -> str:
        url = f"{METADATA}?audience={quote(self._settings.url, safe='')}"
        status, _, body = await self._get(url, {"Metadata-Flavor": "Google"}, b"", _LONGEST, 10.0)
        if status != 200:
            raise Unavailable(
                f"Google's metadata server gave no ID token (status {status}). Run the host with a service account, "
                'or set [sandbox.functions] identity = "command".'
            )
        return _token(body)

    async def _printed(self) -> str:
        words = self._settings.identity_command
        fix = "Log in (gcloud auth login), or set [sandbox.functions] identity-command."
        try:
            process = await asyncio.create_subprocess_exec(
                *words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise Unavailable(f"{' '.join(words)} can't be started ({error}). {fix}") from error
        try:
            async with asyncio.timeout(_COMMAND_SECONDS):
                out, err = await process.communicate()
        except TimeoutError:
            raise Unavailable(f"{' '.join(words)} gave no ID token in {_COMMAND_SECONDS:.0f} s. {fix}") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            said = err.decode("utf-8", "replace").strip()[-300:]
            raise Unavailable(f"{' '.join(words)} failed: {said}. {fix}")
        return _token(out)


def _token(said: bytes) -> str:
    token = said.decode("ascii", "replace").strip()
    if not token or len(token) > _LONGEST or not all(33 <= ord(letter) < 127 for letter in token):
        raise Unavailable("What came is no ID token. Look at [sandbox.functions] identity.")
    return token


def _end(token: str) -> float:
    """When a token ends, as it says itself; Google's live for an hour. Nothing is trusted for it: they check it."""
    try:
        body = token.split(".")[1]
        return float(json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))["exp"])
    except (IndexError, KeyError, ValueError, TypeError):
        return time.time() + _SPARE_SECONDS + 60.0


class Signer:
    """Signs one request, and checks that the answer is to it and by somebody who has the secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.strip().encode()
        self._stamp = str(int(time.time()))
        self._nonce = secrets.token_hex(16)

    def headers(self, body: bytes) -> dict[str, str]:
        """What goes along with a request."""
        return {
            "X-AgentHost-Time": self._stamp,
            "X-AgentHost-Nonce": self._nonce,
            "X-AgentHost-Signature": self._sign(b"run", body),
        }

    def right(self, answer: bytes, signature: str) -> bool:
        """Whether this is the answer to this request."""
        return hmac.compare_digest(self._sign(b"answer", answer).encode(), signature.encode("ascii", "replace"))

    def _sign(self, purpose: bytes, body: bytes) -> str:
        words = (purpose, self._stamp.encode(), self._nonce.encode(), hashlib.sha256(body).hexdigest().encode())
        return hmac.new(self._secret, b"\n".join(words), hashlib.sha256).hexdigest()
