"""What service managers read: a unit of systemd's, and a property list of launchd's."""

import plistlib
import shlex
from pathlib import Path

from msgspec import Struct

NAME = "agenthost"
LABEL = "dev.agenthost.host"
ENVIRONMENT = "service.env"


class Service(Struct, frozen=True):
    """A host as a service: its home, the Python that runs it, `--host` and `--port` where they were given, and, of one of
    the whole system, the user that it runs as. `grace`: seconds that its calls have to end."""

    home: Path
    python: str
    options: tuple[str, ...] = ()
    user: str = ""
    grace: float = 10.0

    @property
    def command(self) -> list[str]:
        """What is run."""
        up = ["up", "--home", str(self.home), "--quiet", "--no-open", "--log-format", "json", "--log-level", "info"]
        return [self.python, "-m", "agenthost.cli", *up, *self.options]


def unit(service: Service) -> str:
    """The unit for systemd.

    It takes from the host what it doesn't need, and leaves what sandboxes do: namespaces and mounts (bubblewrap), a
    whole /proc without anything over it (the kernel refuses a new /proc in a sandbox else), devices (GPUs, KVM), control
    groups (gVisor).
    """
    stop = int(service.grace) + 20
    lines = [
        "[Unit]",
        "Description=AgentHost, a host of AI agents",
        "After=network-online.target",
        "Wants=network-online.target",
        "StartLimitIntervalSec=300",
        "StartLimitBurst=10",
        "",
        "[Service]",
        "Type=notify",
        "NotifyAccess=main",
        f"ExecStart={' '.join(_word(word) for word in service.command)}",
        f"EnvironmentFile=-{_path(service.home / ENVIRONMENT)}",
        f"WorkingDirectory={_path(service.home)}",
        *([f"User={service.user}"] if service.user else []),
        "Restart=on-failure",
        "RestartSec=2",
        # What is set wrongly is as wrong at the next start.
        "RestartPreventExitStatus=2",
        "SuccessExitStatus=130",
        # An upgrade copies the database first; what was left is taken up while it serves.
        "TimeoutStartSec=30min",
        f"TimeoutStopSec={stop}",
        "KillMode=mixed",
        "WatchdogSec=60",
        "OOMPolicy=continue",
        "LimitNOFILE=65536",
        "Delegate=yes",
        "UMask=0077",
        "NoNewPrivileges=yes",
        "RestrictRealtime=yes",
        "RestrictSUIDSGID=yes",
        "SystemCallArchitectures=native",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    ]
    if service.user:
        # A user's own manager needs a user namespace for these, in which a sandbox may not be able to make its own.
        lines += [
            "ProtectSystem=strict",
            f"ReadWritePaths={_quoted(str(service.home))}",
            "ProtectHome=read-only",
            "PrivateTmp=yes",
            "CapabilityBoundingSet=",
            "AmbientCapabilities=",
        ]
    lines += ["", "[Install]", f"WantedBy={'multi-user' if service.user else 'default'}.target", ""]
    return "\n".join(lines)


def _word(word: str) -> str:
    """A word of a command line as systemd reads it (systemd.service(5)): `$` and `%` stand for themselves."""
    return _quoted(word.replace("$", "$$"))


def _quoted(word: str) -> str:
    """A word of a list: `%` begins a specifier, and quotes hold what has blanks."""
    told = word.replace("%", "%%")
    if shlex.quote(word) == word:
        return told
    return '"' + told.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _path(path: Path) -> str:
    """A path that is the whole of a setting: its blanks are its own."""
    return str(path).replace("%", "%%")


def plist(service: Service) -> bytes:
    """The property list for launchd."""
    logs = service.home / "logs"
    keys: dict[str, object] = {
        "Label": LABEL,
        "ProgramArguments": service.command,
        "WorkingDirectory": str(service.home),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 10,
        "ExitTimeOut": int(service.grace) + 20,
        "ProcessType": "Adaptive",
        "Umask": 0o077,
        "SoftResourceLimits": {"NumberOfFiles": 65536},
        "StandardOutPath": str(logs / "service.out"),
        "StandardErrorPath": str(logs / "service.err"),
    }
    if service.user:
        keys["UserName"] = service.user
    return plistlib.dumps(keys)
