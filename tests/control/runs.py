"""Runs of every kind, each of which comes to a place where it would stay for hours."""

import asyncio
from typing import Any

from agenthost.core.ports import ToolContext
from agenthost.core.tools import ToolResult, ToolSpec, text_result

MANIFESTS = """
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: streams}
spec: {instructions: Write.}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: retries}
spec: {instructions: Write., model: "busy:m"}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: calls}
spec: {instructions: Call., tools: [hold, look]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: asks}
spec: {instructions: Ask., tools: [ask]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: top}
spec: {instructions: Delegate., tools: ["delegate:middle", hold]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: middle}
spec: {instructions: Delegate., tools: ["delegate:streams", "delegate:shells"]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: shells}
spec: {instructions: Run., tools: [workspace]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: checked}
spec:
  instructions: Write.
  completion: {rule: checks, checks: [{serve: "sleep MARK & exec sleep MARK", probe: {port: 8000, within: 1h}}]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: runs}
spec:
  steps:
    - {id: first, command: "echo one > a"}
    - {id: long, command: "sleep MARK & (setsid nohup sleep MARK >/dev/null 2>&1 &) ; sh -c 'sleep MARK & sleep MARK'"}
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: fans}
spec:
  roles: {one: {agent: streams, replicas: 2}}
  steps:
    - {id: each, role: one, foreach: "['a', 'b', 'c']", prompt: "write {{ item }}"}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: begun}
spec: {instructions: Write., model: later}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: begins}
spec: {instructions: Write., model: later}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: approved}
spec: {instructions: Call., tools: [hold], approvals: {tools: [hold], within: 1h}}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: bounded}
spec: {instructions: Look., tools: [look], budget: {turns: 1, reached: ask}}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: far}
spec: {description: Elsewhere, runtime: a2a, a2a: {url: "HERE/a2a/streams", token: here}}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: stubborn}
spec: {instructions: Call., tools: [cling]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Agent
metadata: {name: worker}
spec: {instructions: Look., tools: [look]}
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: crowded}
spec:
  sandbox: {memory: 3900Mi}
  steps: [{id: long, command: "sleep MARK"}]
---
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: reaches}
spec:
  sandbox: {network: granted, hosts: [held.example.test]}
  steps:
    - id: long
      command: |
        sleep MARK &
        exec python3 -c 'import urllib.request; urllib.request.urlopen("http://held.example.test/")'
"""
"""`MARK` stands for seconds that no other process sleeps, `HERE` for where the host itself is served."""

PLAYBOOK = """
name: control
rules:
  - {when: {agent: streams}, fail: {kind: stall, after: 3}, reply: {text: "one two three four five six seven"}}
  - {when: {agent: retries}, fail: {kind: overloaded, retry: 200}, reply: {text: never}}
  - when: {agent: calls}
    reply: {calls: [{tool: hold, arguments: {}}, {tool: look, arguments: {}}, {tool: hold, arguments: {}}]}
  - when: {agent: asks}
    reply: {calls: [{tool: ask_person, arguments: {question: "Which?"}}]}
  - when: {agent: top}
    reply: {calls: [{tool: delegate_to_middle, arguments: {task: x}}, {tool: hold, arguments: {}}]}
  - when: {agent: middle}
    reply: {calls: [{tool: delegate_to_streams, arguments: {task: x}}, {tool: delegate_to_shells, arguments: {task: x}}]}
  - when: {agent: shells}
    reply: {calls: [{tool: run, arguments: {command: "sleep MARK & sleep MARK"}}]}
  - when: {agent: checked}
    reply: {text: done}
  - {when: {agent: begun}, reply: {text: "one two three four five", pause: 3600}}
  - {when: {agent: begins}, reply: {text: "one two three four five", pause: 3600, delay: 0.3}}
  - when: {agent: stubborn}
    reply: {calls: [{tool: cling, arguments: {}}]}
  - when: {agent: approved}
    reply: {calls: [{tool: hold, arguments: {}}]}
  - {when: {agent: worker, turn: 1}, reply: {text: done, delay: 0.1}}
  - when: {agent: worker}
    reply: {calls: [{tool: look, arguments: {}}]}
  - when: {agent: bounded}
    reply: {calls: [{tool: look, arguments: {}}]}
"""

FLOWS = ("runs", "fans", "crowded", "reaches")
KINDS = (
    "streams",
    "retries",
    "calls",
    "asks",
    "top",
    "checked",
    "begun",
    "begins",
    "approved",
    "bounded",
    "far",
    *FLOWS,
)


class Hold:
    """A tool that ends when it is told to, and counts how often it is being called."""

    spec = ToolSpec("hold", "Waits for hours.")
    now = 0

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        Hold.now += 1
        try:
            await asyncio.sleep(86_400)
        finally:
            Hold.now -= 1
        return text_result("held")

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        return None


class Cling:
    """A tool that takes its time to stop."""

    spec = ToolSpec("cling", "Waits for hours, and holds on to it.")

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        try:
            await asyncio.sleep(86_400)
        finally:
            await asyncio.sleep(20)
        return text_result("held")

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        return None


class Dawdle:
    """A tool that takes a moment."""

    spec = ToolSpec("dawdle", "Takes a moment.", idempotent=True)

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        await asyncio.sleep(0.3)
        return text_result("done")

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        return None


class Look:
    """A tool that answers at once."""

    spec = ToolSpec("look", "Looks.", read_only=True)

    async def call(self, arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        return text_result("seen")

    async def check(self, key: str, arguments: dict[str, Any]) -> ToolResult | None:
        return None


hold, look, cling, dawdle = Hold(), Look(), Cling(), Dawdle()
