"""The agent's mind: a model, its tools, its stages and script, and the rule that says when it is done.

`state` holds what is remembered, `context` fits the exchange to the model's window, `calls` turns a
model's wishes into commands, `completion` judges whether the work is done, `script` lets the
manifest's own functions take part, `program` joins them.
"""

from agenthost.programs.agent.program import AgentProgram
from agenthost.programs.agent.state import AgentState

__all__ = ["AgentProgram", "AgentState"]
