"""Agent cards: what an agent is, where it is reached, signed with the host's key (specification 4.4 and 8.4)."""

import hashlib
import json
from typing import Any, cast

import msgspec
from a2a.server.request_handlers.response_helpers import agent_card_to_dict
from a2a.types.a2a_pb2 import (
    AgentCapabilities,
    AgentCard,
    AgentCardSignature,
    AgentInterface,
    AgentProvider,
    AgentSkill,
    HTTPAuthSecurityScheme,
    SecurityRequirement,
    SecurityScheme,
    StringList,
)
from msgspec import Struct

from agenthost import __version__
from agenthost.core.api import HostApi
from agenthost.faces.http.a2a.agents import Manifests, everything
from agenthost.faces.http.a2a.words import ACCEPTED, as_dict
from agenthost.host.identity import Identity

KEYS = "/.well-known/jwks.json"
CARD = "/.well-known/agent-card.json"
PRODUCED = ("text/plain", "application/json", "application/octet-stream")
VERSIONS = ("1.0", "0.3")


class Offered(Struct, frozen=True):
    """What the host serves beside JSON-RPC and HTTP+JSON. `grpc`: the address of its gRPC port, empty for none."""

    grpc: str = ""
    pushes: bool = True


class Cards:
    """Makes cards."""

    def __init__(self, identity: Identity, offered: Offered) -> None:
        self._identity = identity
        self.offered = offered

    async def card(self, api: HostApi, name: str, path: str, base: str, extended: bool = False) -> AgentCard:
        """The card of an agent that is served at `path`, without signature."""
        known = await everything(api)
        spec = cast("dict[str, Any]", known[name].get("spec", {}))
        description = str(spec.get("description") or f"The {known[name]['kind'].lower()} '{name}'.")
        skills = [_skill(name, known[name])]
        if extended:
            skills += [_skill(other, known[other]) for other in _reached(name, known)]
        return AgentCard(
            name=name,
            description=description,
            version=_version(known[name]),
            provider=AgentProvider(organization="AgentHost", url=base),
            supported_interfaces=self._interfaces(name, base, path),
            capabilities=AgentCapabilities(
                streaming=True, push_notifications=self.offered.pushes, extended_agent_card=True
            ),
            default_input_modes=["text/plain", *ACCEPTED],
            default_output_modes=list(PRODUCED),
            skills=skills,
            security_schemes={"bearer": SecurityScheme(http_auth_security_scheme=_BEARER)},
            security_requirements=[SecurityRequirement(schemes={"bearer": StringList()})],
        )

    def _interfaces(self, name: str, base: str, path: str) -> list[AgentInterface]:
        found: list[AgentInterface] = []
        url = base + path
        for version in VERSIONS:
            found += [
                AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version=version),
                AgentInterface(url=url, protocol_binding="HTTP+JSON", protocol_version=version),
            ]
        if self.offered.grpc:
            found.append(
                AgentInterface(url=self.offered.grpc, protocol_binding="GRPC", protocol_version="1.0", tenant=name)
            )
            if path == "/a2a":
                # 0.3 has no tenants: by gRPC it reaches the default agent alone.
                found.append(AgentInterface(url=self.offered.grpc, protocol_binding="GRPC", protocol_version="0.3"))
        return found

    def sign(self, card: AgentCard, base: str) -> AgentCard:
        """The card with a signature over it as the specification writes it (8.4.1)."""
        told = as_dict(card)
        told.pop("signatures", None)
        card.signatures.append(self._signature(_full(told), base))
        return card

    def served(self, card: AgentCard, base: str) -> dict[str, Any]:
        """The card as JSON, with what 0.3 clients look for beside it. It is signed twice: as 1.0 has it, for who drops
        what they don't know, and as it is served, for who verifies what they got."""
        told = agent_card_to_dict(self.sign(card, base))
        signatures = told.pop("signatures")
        whole = as_dict(self._signature(told, base))
        return {**told, "signatures": [*signatures, whole]}

    def _signature(self, told: Any, base: str) -> AgentCardSignature:
        # RFC 8785 is this where all names are ASCII and no number has a fraction.
        canonical = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        protected, signature = self._identity.jws(canonical.encode(), typ="JOSE", jku=base + KEYS)
        return AgentCardSignature(protected=protected, signature=signature)

    def keys(self) -> dict[str, Any]:
        """The host's public key as a JSON Web Key Set."""
        return {"keys": [self._identity.public]}


_BEARER = HTTPAuthSecurityScheme(scheme="bearer", description="A token of this host.")


def etag_of(told: dict[str, Any]) -> str:
    """The same as long as the card says the same."""
    return f'"{hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()[:32]}"'


def _full(value: Any) -> Any:
    """Without what is empty, however deep (None where nothing is left): so the SDKs write what they verify."""
    if isinstance(value, dict):
        inner = {key: _full(one) for key, one in cast("dict[str, Any]", value).items()}
        return {key: one for key, one in inner.items() if one is not None} or None
    if isinstance(value, list):
        return [one for one in map(_full, cast("list[Any]", value)) if one is not None] or None
    return None if value == "" else value


def _version(manifest: dict[str, Any]) -> str:
    """A version that changes with the manifest: the host's, then the manifest's content."""
    digest = hashlib.sha256(msgspec.json.encode(manifest, order="sorted")).hexdigest()[:8]
    return f"{__version__}+{digest}"


def _skill(name: str, manifest: dict[str, Any]) -> AgentSkill:
    spec = cast("dict[str, Any]", manifest.get("spec", {}))
    kind = str(manifest["kind"]).lower()
    described = str(spec.get("description") or f"The {kind} '{name}'.")
    wanted = cast("dict[str, dict[str, Any]]", spec.get("input") or {})
    if wanted:
        named = ", ".join(f"{key} ({value.get('type', 'string')})" for key, value in wanted.items())
        described += f" Inputs, in a data part by name: {named}."
    accept = [str(media) for value in wanted.values() for media in value.get("accept", ())]
    output = ["application/json"] if spec.get("output") and kind == "agent" else []
    return AgentSkill(id=name, name=name, description=described, tags=[kind], input_modes=accept, output_modes=output)


def _reached(name: str, known: Manifests) -> list[str]:
    """The other agents and workflows of the host that one gives work to, in order."""
    spec = cast("dict[str, Any]", known[name].get("spec", {}))
    named = [str(tool).removeprefix("delegate:") for tool in spec.get("tools", ()) if str(tool).startswith("delegate:")]
    named += [str(role.get("agent")) for role in cast("dict[str, Any]", spec.get("roles", {})).values()]
    named += [str(step["workflow"]) for step in spec.get("steps", ()) if step.get("workflow")]
    return [other for other in dict.fromkeys(named) if other in known and other != name]
