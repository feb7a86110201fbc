"""The agents and workflows that come with AgentHost: taken into a home the first time they are named."""

from pathlib import Path

import agenthost
from agenthost.cli.screen import Screen
from agenthost.core.api import HostApi
from agenthost.core.errors import Unavailable


def examples() -> Path:
    """The examples: beside the package's modules in a wheel, at the top of a checkout. Raises Unavailable."""
    package = Path(agenthost.__file__).parent
    for place in (package / "examples", package.parents[1] / "examples"):
        if (place / "sketch-to-code").is_dir():
            return place
    raise Unavailable("the examples are not there; install AgentHost again, from a wheel or a whole checkout")


async def take_in(api: HostApi, screen: Screen, name: str) -> None:
    """Apply the shipped example that defines `name`, where the home doesn't know that name yet."""
    if any([name in await api.manifests(kind) for kind in ("workflow", "agent")]):
        return
    texts = defining(name)
    if texts:
        await api.apply(texts)
        screen.hint(f"'{name}' was not in this home yet; it is taken from the examples that come with AgentHost")


def defining(name: str) -> dict[str, str]:
    """The manifests of the shipped example in which an agent or workflow of this name stands, file to text."""
    from agenthost.manifests.load import load

    try:
        folders = sorted(path for path in examples().iterdir() if path.is_dir())
    except Unavailable:
        return {}
    for folder in folders:
        texts = manifests_of(folder)
        found, _ = load(texts)
        if any(loaded.manifest.metadata.name == name for loaded in found):
            return texts
    return {}


def manifests_of(folder: Path) -> dict[str, str]:
    """The manifests right in a folder: file to text."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))}
    return {name: text for name, text in texts.items() if "apiVersion" in text}
