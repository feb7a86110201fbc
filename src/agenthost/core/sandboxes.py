"""What a sandbox is asked to do and what it promises."""

from msgspec import Struct

MIB = 1024 * 1024


class SandboxPolicy(Struct, frozen=True, omit_defaults=True):
    """What code in a sandbox may use. Sizes in bytes, times in seconds, `cpu` in cores.

    `disk` bounds what one run may add to the workspace and to its /tmp together; `output` bounds
    stdout and stderr, each. `packages` are Python requirements, installed outside and mounted
    read-only. `network` is `none`; granted networks come with a later sandbox.
    """

    network: str = "none"
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
