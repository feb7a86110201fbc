"""A browser's session over HTTP: its cookie, and what its page sends with all that changes something."""

import hashlib
import hmac

CSRF_HEADER = "x-csrf-token"


def cookie_name(secure: bool, port: int) -> str:
    """The session's cookie. With TLS no other name and no plain page can set it (RFC 6265bis, section 4.1.3.2). Cookies of
    one machine are shared by all its ports: so the port is in the name."""
    return f"{'__Host-' if secure else ''}agenthost-{port}"


def csrf_of(secret: str) -> str:
    """What a page sends as `X-CSRF-Token`: it follows from the session's secret, which scripts can't read."""
    return hmac.new(secret.encode("utf-8", "surrogatepass"), b"csrf", hashlib.sha256).hexdigest()
