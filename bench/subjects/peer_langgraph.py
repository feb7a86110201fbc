"""langgraph with its SQLite checkpointer, as its documentation sets it up for durable runs."""

import itertools
from typing import Any

from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition


@tool
def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


def _graph(url: str, saver: AsyncSqliteSaver) -> Any:
    model = ChatOpenAI(model="fake", base_url=url, api_key="none").bind_tools([add])  # type: ignore[arg-type]

    async def call(state: MessagesState) -> dict[str, Any]:
        system = SystemMessage("You add numbers with the tool.")
        return {"messages": [await model.ainvoke([system, *state["messages"]])]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", call)
    graph.add_node("tools", ToolNode([add]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    return graph.compile(checkpointer=saver)


class Subject:
    """A graph of a model and a tool node; every step is checkpointed (`durability="sync"`)."""

    def __init__(self) -> None:
        self._graphs: dict[int, Any] = {}
        self._saver: Any = None
        self._count = itertools.count()

    async def open(self, urls: dict[int, str], folder: str) -> None:
        self._saver = AsyncSqliteSaver.from_conn_string(f"{folder}/checkpoints.db")
        saver = await self._saver.__aenter__()
        await saver.setup()
        self._graphs = {latency: _graph(url, saver) for latency, url in urls.items()}

    async def run(self, latency: int, number: int) -> str:
        config = {"configurable": {"thread_id": f"thread-{next(self._count)}"}}
        said = {"messages": [HumanMessage("What is 2 + 3?")]}
        state = await self._graphs[latency].ainvoke(said, config, durability="sync")
        return state["messages"][-1].content

    async def close(self) -> None:
        await self._saver.__aexit__(None, None, None)
