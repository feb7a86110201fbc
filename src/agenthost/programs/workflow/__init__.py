"""The program of a workflow: which step runs when, with what, and what its end makes of the rest.

Pure, like every program: events in, commands out. The engine drives it through `WorkflowProgram`
alone. It makes no model call of its own, and it never judges a graph: `validate` refused those
that can't run.
"""

from agenthost.programs.workflow.program import WorkflowProgram

__all__ = ["WorkflowProgram"]
