"""OpenAI's API over the host: agents and workflows are its models, a request is a task like any other.

Chat completions and responses, streamed and whole. It translates and keeps nothing of them: ids name a task and a place in
its journal, so that an answer can be told again from there. Files and conversations that clients make are on the host's
shelf. `face` is what the server takes.
"""

from agenthost.faces.http.openai.routes import face
from agenthost.faces.http.openai.serving import Behind

__all__ = ["Behind", "face"]
