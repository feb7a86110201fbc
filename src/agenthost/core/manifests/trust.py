"""What a manifest trusts, and what content that a stranger can have written may decide."""

from typing import Literal

from pydantic import Field

from agenthost.core.manifests.common import Part


class TrustSpec(Part):
    """A call with a side effect whose values, or whose decision, come from untrusted content is asked for first."""

    mode: Literal["ask", "refuse", "off"] = Field(
        "ask",
        description="What becomes of a call that untrusted content decided: a person is asked, it is refused, or (off) "
        "it is made without a word, which doctor shows.",
    )
    reading: bool = Field(
        True,
        description="Whether a model reads the person's words by themselves, where only they can tell whether a call was "
        "asked for; else a person is asked.",
    )
    results: tuple[str, ...] = Field(
        (), description="Tools whose results hold nothing that a stranger can have written, such as your address book."
    )
    keys: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="By tool: fields of its results that the service itself sets, such as id and from.",
    )
    targets: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="By tool: the arguments that say whom or what a call reaches or changes."
    )
    allow: tuple[str, ...] = Field(
        (), description="Values that may always be reached: *@example.com, api.example.com, reports/*."
    )
    actions: tuple[str, ...] = Field(
        (), description="Tools that this agent may call without a person's words for it, with values that are covered."
    )
