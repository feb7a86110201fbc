"""Agno's AgentOS with its SQLite database, as its documentation serves it: uvicorn, one process. An agent for each model."""

import json
import socket
import sys
from pathlib import Path

import uvicorn
from agno.agent import Agent
from agno.db.sqlite import SqliteDb
from agno.models.openai import OpenAIChat
from agno.os import AgentOS


def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


def main(urls: dict[str, str], folder: str) -> None:
    """Serve until it is ended."""
    database = SqliteDb(db_file=str(Path(folder) / "agno.db"))
    agents = [
        Agent(
            id=f"adder{name}",
            name=f"adder{name}",
            model=OpenAIChat(id="fake", base_url=url, api_key="none"),
            instructions="You add numbers with the tool.",
            tools=[] if name.startswith("s") else [add],
            db=database,
            telemetry=False,
        )
        for name, url in urls.items()
    ]
    app = AgentOS(agents=agents, telemetry=False).get_app()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(2048)
        print(listener.getsockname()[1], flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run([listener])


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2])
