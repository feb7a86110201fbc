"""The verbs, and nothing else: this is all that `--help` and completion load.

A verb's module has `parser()` and `run(args, door)`; it is imported when the verb is named.
"""

VERBS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "run": ("run", "run an agent or a workflow and follow it", ()),
    "demo": ("demo", "a sketch goes in, a checked program comes out", ()),
    "up": ("up", "run the host, so that other terminals reach it", ()),
    "apply": ("manifests", "take manifests from files or folders", ()),
    "validate": ("manifests", "check manifests, changing nothing", ()),
    "get": ("manifests", "show agents, workflows or schedules", ("agents", "workflows", "schedules")),
    "delete": ("manifests", "remove an agent, a workflow or a schedule", ("agent", "workflow", "schedule")),
    "new": ("new", "write the beginning of a manifest", ("agent", "workflow", "schedule")),
    "agent": ("new", "what is done with agents: agent new NAME", ("new",)),
    "tasks": (
        "tasks",
        "see, follow, answer, cancel, replay, fork, move, delete tasks",
        (
            "list",
            "show",
            "follow",
            "artifacts",
            "cancel",
            "reply",
            "approve",
            "deny",
            "questions",
            "replay",
            "fork",
            "move",
            "export",
            "delete",
        ),
    ),
    "secrets": ("secrets", "keep keys and passwords, encrypted", ("set", "list", "delete")),
    "people": (
        "people",
        "who may use the host, and what they may do",
        ("list", "add", "change", "remove", "delete", "password", "link"),
    ),
    "namespaces": ("namespaces", "a tenant's everything", ("delete",)),
    "keys": ("keys", "keys for programs, and the sessions of browsers", ("list", "new", "revoke")),
    "budgets": ("budgets", "what may be spent in a day, and what is", ("list", "set", "clear")),
    "webhooks": (
        "webhooks",
        "who is called when your tasks end or ask",
        ("add", "list", "show", "remove", "test", "deliveries"),
    ),
    "grants": ("grants", "what is allowed for good, without a question", ("list", "show", "remove")),
    "schedules": (
        "schedules",
        "what is run when: again and again, or once",
        ("add", "list", "show", "pause", "resume", "run", "remove"),
    ),
    "model": (
        "model",
        "which models can be used, and what they really do",
        ("list", "show", "probe", "batch", "files", "embed", "pull", "remove"),
    ),
    "telegram": ("telegram", "the host's agents in Telegram", ("serve", "check", "undelivered")),
    "eval": ("evals", "measure with labelled sets that ship with AgentHost", ("routing", "untrusted")),
    "sandbox": ("sandbox", "where code runs, and the images for it", ("list", "build", "pull")),
    "service": ("service", "have the host started with the machine", ("install", "uninstall", "status")),
    "backup": ("backup", "a home in one file, while its host works, and back", ("create", "list", "verify", "restore")),
    "upgrade": ("upgrade", "bring the data to this version: tried on a copy, done, or taken back", ()),
    "doctor": ("doctor", "what is missing here, and how to mend it", ()),
    "completion": ("completion", "a script that completes words in your shell", ("bash", "zsh", "fish")),
}
"""Verb to (module of this package, one line, words that come after it)."""

GLOBALS: dict[str, tuple[str, str]] = {
    "--home": ("DIR", "where AgentHost keeps its data ($AGENTHOST_HOME)"),
    "--log-format": ("text|json", "how log lines are written"),
    "--log-level": ("LEVEL", "debug, info, warning (default) or error"),
}
"""Options that every verb takes, before it or after it: (value, one line)."""

EXITS: tuple[tuple[int, str], ...] = (
    (0, "done"),
    (1, "the work failed"),
    (2, "bad usage or input"),
    (3, "the host can't be reached"),
    (4, "it waits for a person"),
    (130, "interrupted"),
)
"""Exit codes and what they say."""


def overview() -> str:
    """What `agenthost --help` prints."""
    width = max(map(len, VERBS))
    lines = ["Usage: agenthost VERB ...", "", "AgentHost hosts AI agents: work is never lost, done means proved.", ""]
    lines += [f"  {verb:<{width}}  {summary}" for verb, (_, summary, _) in VERBS.items()]
    lines += ["", "Everywhere:"]
    options = {f"{name} {value}": text for name, (value, text) in GLOBALS.items()}
    options |= {"--json": "JSON instead of words", "--help": "how a verb is used, with examples", "--version": "which"}
    wide = max(map(len, options))
    lines += [f"  {option:<{wide}}  {text}" for option, text in options.items()]
    lines += ["", "Exit codes: " + ", ".join(f"{code} {text}" for code, text in EXITS) + "."]
    lines += ["", "Begin with: agenthost demo"]
    return "\n".join(lines)
