"""What a sandbox is asked to do and what it promises."""

from typing import Literal

from msgspec import Struct

MIB = 1024 * 1024

Isolation = Literal["process", "kernel"]
"""What stands between the code and the machine: namespaces on the machine's own kernel (`process`), or
a kernel of its own as well (`kernel`: gVisor, a virtual machine, somebody else's machine)."""

ISOLATIONS: tuple[Isolation, ...] = ("process", "kernel")
"""From the weakest to the strongest."""


class SandboxPolicy(Struct, frozen=True, omit_defaults=True):
    """What code in a sandbox may use. Sizes in bytes, times in seconds, `cpu` in cores.

    `disk` bounds what one run may add to the workspace and to its /tmp together; `output` bounds
    stdout and stderr, each. `packages` are Python requirements, installed outside and mounted
    read-only. `hosts` are what it may reach (`api.example.com`, `*.example.com`, either with `:PORT`,
    else 443 and 80); without any there is no network. `kind` demands one sandbox by name, `isolation`
    the least that will do; `image` is for those that have images, empty for the default one.
    """

    hosts: tuple[str, ...] = ()
    kind: str = ""
    isolation: Isolation = "process"
    image: str = ""
    memory: int = 512 * MIB
    cpu: float = 1.0
    timeout: float = 60.0
    processes: int = 64
    disk: int = 256 * MIB
    output: int = 1 * MIB
    packages: tuple[str, ...] = ()


class SandboxRun(Struct, frozen=True, omit_defaults=True):
    """One run: what, in which folder of the host as its /workspace, under which policy.

    `argv` is run as it is (use `sh -c` for a shell line). The working directory is `/workspace`
    or `cwd` below it. `env` is the whole environment beside PATH, HOME, LANG, TMPDIR.
    """

    argv: tuple[str, ...]
    workspace: str
    policy: SandboxPolicy = SandboxPolicy()
    stdin: bytes = b""
    env: tuple[tuple[str, str], ...] = ()
    cwd: str = ""


class SandboxOutcome(Struct, frozen=True, omit_defaults=True):
    """What came of a run; `limit` as in RunResult; `cut` bytes of output were dropped."""

    exit_code: int
    stdout: bytes = b""
    stderr: bytes = b""
    duration: float = 0.0
    limit: str = ""
    cut: int = 0


class Availability(Struct, frozen=True, omit_defaults=True):
    """Whether a sandbox can be used here, and if not, the command or setting that mends it."""

    available: bool
    detail: str = ""
    fix: str = ""
