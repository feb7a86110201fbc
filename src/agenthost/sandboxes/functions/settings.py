"""`[sandbox.functions]`: where the executor function is, how it knows us, and how it was deployed."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

import msgspec
from msgspec import Struct

Post = Callable[[str, dict[str, str], bytes, int, float], Awaitable[tuple[int, dict[str, str], bytes]]]
"""An HTTP POST that follows no redirect: URL, headers, body, the most bytes of an answer, the most seconds for all of
it. Gives status, headers (names in lower case) and body. Raises Temporary (`unreachable`, `timeout`), and Permanent
(`too-large`)."""


class FunctionsSettings(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename="kebab"):
    """`secret` names the stored secret or variable with the shared secret. `identity` says where the ID token comes
    from that Google's platform asks for: `command` (`identity_command` prints it), `metadata` (the machine's own
    account, on Google's machines), `none` (a function on this machine only). `concurrency` is the most runs at once: its instances. `memory` (MiB) and `timeout` (seconds, at
    most 3,600) are as the function was deployed; `packages` are those that its image has."""

    url: str = ""
    secret: str = "AGENTHOST_FUNCTIONS_SECRET"
    identity: Literal["command", "metadata", "none"] = "command"
    identity_command: tuple[str, ...] = ("gcloud", "auth", "print-identity-token")
    memory: Annotated[int, msgspec.Meta(ge=128, le=32768)] = 1024
    timeout: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 300.0
    concurrency: Annotated[int, msgspec.Meta(ge=1)] = 20
    packages: tuple[str, ...] = ("pytest",)
