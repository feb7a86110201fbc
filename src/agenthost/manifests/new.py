"""The texts that `agenthost new agent|workflow|schedule NAME` begins with: commented manifests that validate."""

import re

from agenthost.core.errors import BadInput
from agenthost.core.manifests.common import API_VERSION, NAME

_AGENT = """\
# {name}: an agent. Try it with: agenthost apply -f {name}.yaml && agenthost run {name} "hello"
apiVersion: {version}
kind: Agent
metadata:
  name: {name}
spec:
  # What it is for: shown to people, and to agents that may hand work to it.
  description: Answers questions and works on files.
  # A configured name, or provider:model, such as openai:gpt-5.5.
  model: default
  instructions: |
    You are a careful helper. Say what you did, and show what you checked.
  # workspace: read and write the task's files, and run commands in the sandbox.
  # ask: ask the person. delegate:AGENT: hand work to another agent.
  tools: [workspace, ask]
  # What code that it runs may use. There is no network.
  sandbox: {{memory: 512Mi, cpu: 1, timeout: 60s}}
  # When the work is done. With `rule: checks`, commands that must pass prove it:
  #   completion:
  #     rule: checks
  #     checks: [{{run: "python -m pytest -q"}}]
  completion: {{rule: quiet}}
  # The most that one task may spend.
  budget: {{turns: 30, tokens: 200k, duration: 30m}}
"""

_WORKFLOW = """\
# {name}: a workflow and its agents. Try it with:
#   agenthost apply -f {name}.yaml && agenthost run {name} --input goal="print the first ten primes"
apiVersion: {version}
kind: Agent
metadata:
  name: {name}-writer
spec:
  description: Writes a small program.
  instructions: |
    Write the program to main.py. Use the standard library only.
  tools: [workspace]
---
apiVersion: {version}
kind: Workflow
metadata:
  name: {name}
spec:
  description: Writes a program, runs it, and goes back with the error until it runs.
  # What it must be given; expressions say input.goal.
  input:
    goal: {{type: string, description: What the program is to do.}}
  # Who does the steps. replicas: how many runs at once, over all tasks of the host.
  roles:
    writer: {{agent: {name}-writer, replicas: 1}}
  steps:
    - id: write
      role: writer
      # What stands in double braces is an expression. feedback is empty, but when a later step came back.
      prompt: |
        Write a program for this goal: {{{{ input.goal }}}}
        {{{{ feedback }}}}
    - id: run
      needs: [write]
      command: python main.py
      timeout: 30s
      # A command that exits with anything but 0 fails its step; then the work goes back, at most 3 times.
      onFail:
        goto: write
        feedback: "It failed with exit code {{{{ result.exit_code }}}}: {{{{ result.stderr }}}}"
        max: 3
  # What comes out: a template, or an object of templates.
  output:
    says: "{{{{ steps.run.stdout }}}}"
    files: "{{{{ steps.write.files }}}}"
"""

_SCHEDULE = """\
# {name}: a schedule and the agent that it runs. Try it with:
#   agenthost apply -f {name}.yaml && agenthost schedules show {name}
# It runs while a host does: agenthost up
apiVersion: {version}
kind: Agent
metadata:
  name: {name}-agent
spec:
  description: Does what is due.
  instructions: |
    You are a careful helper. Be brief.
---
apiVersion: {version}
kind: Schedule
metadata:
  name: {name}
spec:
  # Minute, hour, day of the month, month, day of the week; or @daily, @hourly, @weekly, @monthly, @yearly.
  # For once, in its place: at: "2030-12-24T18:00"
  cron: "0 9 * * mon-fri"
  timezone: Europe/Athens
  run: {{agent: {name}-agent, text: "Write down what today is."}}
  # Times at which no host worked: skip, once (run once for all of them) or all.
  missed: once
  # While the run before goes on: skip this one, queue it, allow both, or replace the one before.
  overlap: skip
"""

_TEXTS = {"agent": _AGENT, "workflow": _WORKFLOW, "schedule": _SCHEDULE}
_LONGEST = {"workflow": "-writer", "schedule": "-agent"}


def new(kind: str, name: str) -> str:
    """The manifest to begin with, for the kind `agent`, `workflow` or `schedule`. Raises BadInput for a bad name."""
    if kind not in _TEXTS:
        raise BadInput(f"there is no '{kind}' to begin; it is one of {', '.join(_TEXTS)}")
    most = 63 - len(_LONGEST.get(kind, ""))
    if not re.fullmatch(NAME, name) or len(name) > most:
        raise BadInput(f"'{name}' can't be a name: use a-z, 0-9 and hyphen, at most {most} characters")
    return _TEXTS[kind].format(name=name, version=API_VERSION)
