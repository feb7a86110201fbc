"""What manifests say of questions to people: which calls need an approval, who answers, how long it is waited for."""

import re
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from agenthost.core.access import ROLES
from agenthost.core.manifests.common import Duration, Part

_PERSON = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")


def read_answerer(value: str) -> str:
    """One of those who may answer, as it was written, once it can be understood."""
    role = value.removeprefix("role:") if value.startswith("role:") else None
    if role is not None and role not in ROLES:
        raise ValueError(f"there is no role '{role}'; the roles are {', '.join(ROLES)}")
    if role is None and not _PERSON.fullmatch(value):
        raise ValueError("expected requester, owner, role:ROLE, or a person's id")
    return value


def read_answerers(value: tuple[str, ...]) -> tuple[str, ...]:
    """Those who may answer, each once it can be understood."""
    return tuple(read_answerer(each) for each in value)


Answerers = Annotated[tuple[str, ...], AfterValidator(read_answerers)]


class Approvals(Part):
    """When a person must agree before something is done, who that may be, and what counts where nobody answers."""

    tools: tuple[str, ...] = Field(
        (),
        description="Tools that need one, beside those that say so themselves: names, entries of `tools`, or patterns such as send_*.",
    )
    by: Answerers = Field(
        (),
        description="Who may answer: requester, owner, role:operator, people's ids; the host's setting if not given.",
    )
    within: Duration | None = Field(
        None, description="How long an answer is waited for, such as 24h; the host's setting if not given."
    )
    default: Literal["deny", "approve"] = Field("deny", description="What counts where nobody answers in time.")


def guards(given: Approvals, *names: str) -> bool:
    """Whether a tool of these names (its own, and that of the entry it comes by) needs an approval."""
    return any(fnmatchcase(name, pattern) for pattern in given.tools for name in names)


class Questions(Part):
    """How the agent asks people."""

    within: Duration | None = Field(
        None, description="How long an answer is waited for, such as 24h; the host's setting if not given."
    )
    default: str = Field(
        "", max_length=2000, description="The answer where nobody gives one in time; the agent is told so."
    )
    by: Answerers = Field(
        (),
        description="Who may answer: requester, owner, role:operator, people's ids; the host's setting if not given.",
    )


class StepApproval(Part):
    """A person must agree before the step is done; they see exactly what will be done."""

    message: str = Field("", description="A template: the first line of the question.")
    by: Answerers = Field((), description="Who may answer; the workflow's `approvals` if not given.")
    within: Duration | None = Field(None, description="How long an answer is waited for; as `approvals` if not given.")
    default: Literal["", "deny", "approve"] = Field("", description="What counts then; as `approvals` if not given.")

    def over(self, given: Approvals) -> Approvals:
        """What holds for the step, where the workflow says `given`."""
        return given.model_copy(
            update={
                "by": self.by or given.by,
                "within": given.within if self.within is None else self.within,
                "default": self.default or given.default,
            }
        )
