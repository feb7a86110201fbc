"""Where values come from: what a task inherits of it from the one that gave it work."""

from msgspec import Struct


class Given(Struct, frozen=True, omit_defaults=True):
    """What stands behind a child task's work: `words` that a person or a manifest said, and `sources`, what was read
    before that a stranger can have written. The child's own message is one of them where there are any."""

    words: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
