"""The executor function: takes a signed request with code and files, runs it, returns what came out.

Google's platform has checked the caller's ID token before this sees the request; the signature is a second factor, so
that a leaked permission to call is not enough. See README.md for how to deploy it.
"""

import hashlib
import hmac
import os
import time

import executor
import frames
import functions_framework
from flask import Request, Response

VERSION = 1
MOST_REQUEST = 32 * 1000 * 1000
"""Bytes. https://cloud.google.com/functions/quotas: 32 MB of an HTTP request or answer (2nd gen)."""
MOST_AGE = 300
"""Seconds between the caller's clock and ours."""


def _secret() -> bytes:
    """The shared secret, taken out of the environment that runs would inherit."""
    return os.environ.pop("AGENTHOST_SECRET", "").strip().encode()


SECRET = _secret()
executor.guard()


@functions_framework.http
def execute(request: Request) -> Response:
    """One request, one run."""
    if request.method != "POST":
        return _no(405, "method", "POST a run")
    if not SECRET:
        return _no(500, "no-secret", "the function has no AGENTHOST_SECRET; see its README")
    if (request.content_length or 0) > MOST_REQUEST:
        return _no(413, "too-large", f"a request has at most {MOST_REQUEST} bytes")
    body = request.get_data(cache=False)
    stamp, nonce = request.headers.get("X-AgentHost-Time", ""), request.headers.get("X-AgentHost-Nonce", "")
    signature = request.headers.get("X-AgentHost-Signature", "").encode()
    if not hmac.compare_digest(_sign(b"run", stamp, nonce, body).encode(), signature):
        return _no(403, "signature", "the signature is wrong: is the shared secret the same on both sides?")
    if not (stamp.isascii() and stamp.isdigit()) or abs(time.time() - int(stamp)) > MOST_AGE:
        return _no(403, "clock", f"the request is signed for another time: both clocks may differ by {MOST_AGE} s")
    try:
        head, content = frames.read(body)
        answer = _hello() if head.get("hello") else executor.perform(head, content)
    except frames.BadFrame as error:
        return _no(400, "bad-request", str(error))
    except executor.NotRun as error:
        return _no(error.status, error.code, str(error))
    return Response(
        answer,
        content_type="application/octet-stream",
        headers={"X-AgentHost-Signature": _sign(b"answer", stamp, nonce, answer)},
    )


def _hello() -> bytes:
    return frames.write({"version": VERSION, **executor.facts()}, [])


def _sign(purpose: bytes, stamp: str, nonce: str, body: bytes) -> str:
    words = b"\n".join((purpose, stamp.encode(), nonce.encode(), hashlib.sha256(body).hexdigest().encode()))
    return hmac.new(SECRET, words, hashlib.sha256).hexdigest()


def _no(status: int, code: str, message: str) -> Response:
    body = frames.write({"error": code, "message": message}, [])
    return Response(body, status=status, content_type="application/octet-stream")
