"""What a container of a room is made with: everything denied that can be."""

from typing import Any

from agenthost.core.sandboxes import MIB
from agenthost.sandboxes.attached.boot import START
from agenthost.sandboxes.attached.pool import Size
from agenthost.sandboxes.attached.room import ENVIRONMENT

USER = 60_321
"""Who everything in a container is: above accounts, and below the 65,536 that a user namespace commonly maps."""

HOME_LABEL = "agenthost.home"
BASE_LABEL = "agenthost.base"
"""Of an image with a folder /workspace: the id of the image that it was made from."""
OVERHEAD = 32 * MIB
"""Memory of a container beside its policy's: our own process, and the kernel's for its processes."""

_CPU = 1_000_000_000
_INODES = 4096


def config(image: str, path: str, size: Size, home: str, runtime: str) -> dict[str, Any]:
    """The body of `POST /containers/create` (Docker Engine API 1.40). `path`: the image's PATH."""
    scratch = min(size.disk, size.memory)
    tmpfs = f"rw,nosuid,nodev,exec,size={scratch},nr_inodes={max(scratch // _INODES, 64)},mode=1777"
    memory = size.memory + OVERHEAD
    host: dict[str, Any] = {
        "NetworkMode": "none",
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "Memory": memory,
        "MemorySwap": memory,
        "NanoCpus": max(int(size.cpu * _CPU), _CPU // 100),
        "PidsLimit": size.processes + 1,
        "IpcMode": "private",
        "ShmSize": scratch,
        "Tmpfs": {"/tmp": tmpfs},
        "OomScoreAdj": 1000,
        "AutoRemove": True,
        "LogConfig": {"Type": "none"},
        "Ulimits": [
            {"Name": "nofile", "Soft": 1024, "Hard": 1024},
            {"Name": "core", "Soft": 0, "Hard": 0},
        ],
        "Sysctls": {"net.ipv4.ip_unprivileged_port_start": "0"},
        "Dns": ["127.0.0.1"],
        "Init": False,
    }
    if runtime:
        host["Runtime"] = runtime
    env = {**ENVIRONMENT, "PATH": path}
    return {
        "Image": image,
        "Entrypoint": ["python3", "-c", START],
        "Cmd": [],
        "Env": [f"{name}={value}" for name, value in env.items()],
        "User": f"{USER}:{USER}",
        "WorkingDir": "/",
        "Hostname": "sandbox",
        "NetworkDisabled": True,
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": False,
        "Labels": {HOME_LABEL: home},
        "Volumes": {"/workspace": {}},
        "StopSignal": "SIGKILL",
        "HostConfig": host,
    }
