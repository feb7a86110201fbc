"""The time zone of this machine."""

import os
from collections.abc import Mapping
from pathlib import Path

LINK = Path("/etc/localtime")


def local_zone(environ: Mapping[str, str] = os.environ, link: Path = LINK) -> str:
    """Its IANA name as the machine says it: TZ's, else that to which `/etc/localtime` leads (localtime(5)); empty where
    neither says one. Reads the disk."""
    named = environ.get("TZ", "").removeprefix(":")
    if not named and link.is_symlink():
        named = str(link.resolve()).partition("zoneinfo/")[2]
    return named
