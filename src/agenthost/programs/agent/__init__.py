"""The agent's mind: a model, its tools, its stages and script, and the rule that says when it is done.

`program` routes events: `turns` takes the model's answers, `calls` its wishes for tools, `closing` judges
quiet answers and the work (`completion`), `steps` goes towards the next turn and `fitting` makes it fit the
window (`context`), `script` lets the manifest's functions take part. `definition` is what is pinned,
`words` what the model is told, `structured` reads its JSON. Each works on `state` alone.
"""

from agenthost.programs.agent.program import AgentProgram
from agenthost.programs.agent.state import AgentState

__all__ = ["AgentProgram", "AgentState"]
