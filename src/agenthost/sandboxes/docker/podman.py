"""What Podman wants other than Docker of a container that is to be the same."""

import resource
from typing import Any

# The fewest processes that a kernel has numbers for.
_PROCESSES = 32_768
# Podman puts a writable file system in memory on these of a read-only root, where a run would leave things for the next.
_SHUT = ("/run", "/var/tmp")
_TMPFS = ("rw", "ro", "nosuid", "nodev", "noexec", "exec", "size=", "mode=")


def adapted(body: dict[str, Any]) -> dict[str, Any]:
    """The body of `POST /containers/create` for Podman, of one that is for Docker.

    Podman refuses options of tmpfs that it doesn't know (inodes: there the container's memory, which they are counted
    in, bounds them), takes a seccomp profile only as a file of its machine (its own filter stays), and paths to hide
    as an option. It would have systemd look after a container's health even where that is to be NONE; the image that
    rooms are made of has lost its own check, as a commit of Podman's keeps none.
    """
    host: dict[str, Any] = body["HostConfig"]
    security = [word for word in host["SecurityOpt"] if not word.startswith("seccomp=")]
    tmpfs = {place: _known(options) for place, options in host["Tmpfs"].items()}
    tmpfs |= dict.fromkeys(_SHUT, "ro,nosuid,nodev,noexec,size=4k,mode=755,notmpcopyup")
    limits = {limit["Name"]: limit for limit in [*ulimits(), *host["Ulimits"]]}
    return {
        **{name: value for name, value in body.items() if name != "Healthcheck"},
        "Env": [pair for pair in body["Env"] if "=" in pair],  # a bare name is looked up on its machine
        "HostConfig": {
            **host,
            "SecurityOpt": [*security, f"mask={':'.join(host['MaskedPaths'])}"],
            "Tmpfs": tmpfs,
            "Ulimits": list(limits.values()),
        },
    }


def _known(options: str) -> str:
    return ",".join([*(word for word in options.split(",") if word.startswith(_TMPFS)), "notmpcopyup"])


def ulimits() -> list[dict[str, Any]]:
    """Limits without which Podman asks for a million files and processes: an engine without CAP_SYS_RESOURCE, in a
    container of its own, can't give so many."""
    most = min(resource.getrlimit(resource.RLIMIT_NPROC)[1] % 2**64, _PROCESSES)
    return [{"Name": name, "Soft": most, "Hard": most} for name, most in (("nofile", 1024), ("nproc", most))]
