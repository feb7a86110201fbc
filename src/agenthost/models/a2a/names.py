"""How a remote agent is called as a model: `a2a:SECRET@URL`, where SECRET names the token's secret (or nothing)."""

from agenthost.core.manifests.agent import REMOTE

INSTALL = "an agent elsewhere needs a library. Run: pip install 'agenthost[a2a]'"


def is_remote(name: str) -> bool:
    """Whether a model's name is a remote agent's."""
    return name.startswith(REMOTE)


def read_name(name: str) -> tuple[str, str]:
    """The secret's name and the URL."""
    secret, _, url = name.removeprefix(REMOTE).partition("@")
    return secret, url.rstrip("/")
