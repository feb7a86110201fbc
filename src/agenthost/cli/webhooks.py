"""`agenthost webhooks`: who is called when one's tasks end or ask. A secret of one's own comes from a prompt without echo, or from
stdin; never from the command's words."""

import asyncio
import getpass
import sys
from argparse import Namespace
from datetime import datetime
from typing import get_args

from agenthost.cli.connect import Door, Reached
from agenthost.cli.options import Parser, Words, make
from agenthost.cli.people import day
from agenthost.cli.screen import Screen
from agenthost.core.errors import BadInput, Unavailable
from agenthost.core.webhooks import DeliveryInfo, NewWebhook, OwnWebhooks, Told, WebhookInfo

LOOK = 0.2
"""Seconds between two looks at what became of a test."""


def parser(verb: str) -> Parser:
    """A word for each thing that can be done."""
    made = make(verb, "webhooks add https://hooks.example.com/a\nwebhooks list\nwebhooks test wh_0123456789abcdef")
    words = Words(made)
    add = words.add(
        "add",
        "have a URL called when your tasks end or ask; its secret is shown once",
        "webhooks add https://hooks.example.com/a\nwebhooks add https://hooks.example.com/a --event task.ended\n"
        "webhooks add https://hooks.example.com/a --task last",
    )
    add.add_argument(
        "url", metavar="URL", help="a public address; others are named in the settings ([network] private)"
    )
    add.add_argument(
        "--event",
        action="append",
        choices=get_args(Told),
        default=[],
        help="tell of this (task.ended and task.question)",
    )
    add.add_argument(
        "--task", default="", metavar="TASK", help="of this task alone: its id, the beginning of it, or `last`"
    )
    add.add_argument("--secret", action="store_true", help="ask for the secret, or read it from stdin (one is made)")
    words.add("list", "your webhooks", "webhooks list\nwebhooks list --json")
    _one(words, "show", "one of them", "webhooks show wh_0123456789abcdef")
    _one(words, "remove", "call it no more; what was to be sent is dropped", "webhooks remove wh_0123456789abcdef")
    test = _one(
        words,
        "test",
        "send something to try it out; one that was switched off goes on",
        "webhooks test wh_0123456789abcdef",
    )
    test.add_argument(
        "--wait", type=float, default=10.0, metavar="SECONDS", help="how long to wait for what came of it (10)"
    )
    deliveries = _one(
        words, "deliveries", "what was and is to be sent, newest first", "webhooks deliveries wh_0123456789abcdef"
    )
    deliveries.add_argument("--limit", type=int, default=20, metavar="N", help="how many (20)")
    return made


def _one(words: Words, name: str, text: str, examples: str) -> Parser:
    made = words.add(name, text, examples)
    made.add_argument("id", metavar="ID", help="its id, as `webhooks list` shows it")
    return made


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Do what the word says."""
    secret = _asked() if args.word == "add" and args.secret else ""
    async with door.host() as host:
        if host.webhooks is None:
            raise Unavailable("this host calls nobody; ask the one that `agenthost up` started")
        if args.word == "add":
            return await _add(args, host, host.webhooks, secret, screen)
        if args.word == "test":
            return await _test(args, host, host.webhooks, screen)
        return await _WORDS[args.word](args, host.webhooks, screen)


def _asked() -> str:
    secret = getpass.getpass("Secret (not shown): ") if sys.stdin.isatty() else sys.stdin.read().strip()
    if not secret:
        raise BadInput("no secret was given; type it at the prompt, or pipe it in")
    return secret


async def _add(args: Namespace, host: Reached, webhooks: OwnWebhooks, secret: str, screen: Screen) -> int:
    task = await host.api.find(args.task) if args.task else ""
    wanted = NewWebhook(args.url, task=task, secret=secret)
    if args.event:
        wanted = NewWebhook(args.url, tuple(args.event), task, secret)
    made = await webhooks.add(wanted)
    if screen.json:
        screen.object(made)
        return 0
    screen.line(made.secret)
    screen.hint(
        f"{made.id} is told of {', '.join(made.events)}; what is sent is signed with this secret, which isn't shown again. "
        f"Try it: agenthost webhooks test {made.id}"
    )
    return 0


async def _list(args: Namespace, webhooks: OwnWebhooks, screen: Screen) -> int:
    found = await webhooks.all()
    if screen.json:
        screen.object(found)
    else:
        screen.table(["id", "url", "told of", "task", "since", "state"], [_row(each) for each in found])
    return 0


async def _show(args: Namespace, webhooks: OwnWebhooks, screen: Screen) -> int:
    found = await webhooks.show(args.id)
    if screen.json:
        screen.object(found)
    else:
        screen.table(["id", "url", "told of", "task", "since", "state"], [_row(found)])
    return 0


def _row(webhook: WebhookInfo) -> list[str]:
    state = f"off: {webhook.disabled}" if webhook.disabled else "on"
    return [webhook.id, webhook.url, ", ".join(webhook.events), webhook.task or "all", day(webhook.created), state]


async def _remove(args: Namespace, webhooks: OwnWebhooks, screen: Screen) -> int:
    await webhooks.remove(args.id)
    if screen.json:
        screen.object({"id": args.id, "outcome": "removed"})
    screen.say(f"{args.id} is called no more.")
    return 0


async def _test(args: Namespace, host: Reached, webhooks: OwnWebhooks, screen: Screen) -> int:
    """1 where it wasn't taken at the first try."""
    sent = await webhooks.test(args.id)
    if not host.own:
        sent = await _tried(webhooks, sent, args.wait)
    if screen.json:
        screen.object(sent)
    else:
        screen.say(_said(sent), "green" if sent.state == "delivered" else "yellow")
    if host.own:
        screen.hint("no host is running; it is sent when one does: agenthost up")
    return 0 if sent.state == "delivered" or host.own else 1


async def _tried(webhooks: OwnWebhooks, sent: DeliveryInfo, seconds: float) -> DeliveryInfo:
    """What became of a delivery once it was tried, or as it is after so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            while sent.state == "waiting" and not sent.attempts:
                await asyncio.sleep(LOOK)
                page = await webhooks.deliveries(sent.webhook)
                sent = next((each for each in page.items if each.id == sent.id), sent)
    except TimeoutError:
        pass
    return sent


def _said(delivery: DeliveryInfo) -> str:
    if delivery.state == "delivered":
        return f"It was taken: {delivery.status}."
    if not delivery.attempts:
        return "It wasn't sent yet."
    again = "" if delivery.state == "dead" else "; it is tried again"
    return f"It wasn't taken: {delivery.reason}{again}."


async def _deliveries(args: Namespace, webhooks: OwnWebhooks, screen: Screen) -> int:
    if not 0 < args.limit <= 500:
        raise BadInput("--limit takes a number from 1 to 500")
    page = await webhooks.deliveries(args.id, limit=args.limit)
    if screen.json:
        screen.object(page.items)
        return 0
    rows = [
        [
            datetime.fromtimestamp(each.at).strftime("%Y-%m-%d %H:%M:%S"),
            each.event,
            str(each.body.get("data", {}).get("task", "")),
            each.state,
            str(each.attempts),
            each.reason or str(each.status or ""),
        ]
        for each in page.items
    ]
    screen.table(["since", "event", "task", "state", "tries", "answer"], rows)
    return 0


_WORDS = {"list": _list, "show": _show, "remove": _remove, "deliveries": _deliveries}
