"""`agenthost schedules`: what is run when, made and looked after."""

import asyncio
import time
from argparse import Namespace
from datetime import datetime
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

from agenthost.cli.connect import Door, Reached
from agenthost.cli.options import Parser, Words, make
from agenthost.cli.run import inputs, put
from agenthost.cli.screen import Screen
from agenthost.core.errors import BadInput, Unavailable
from agenthost.core.manifests.common import read_duration
from agenthost.core.schedules import NewSchedule, OwnSchedules, RunInfo, ScheduleInfo
from agenthost.machine.zone import local_zone
from agenthost.manifests.timing import here, read_when, read_zone, shown

LOOK = 0.1
"""Seconds between two looks at whether a run has begun."""

_EXAMPLES = """\
schedules add morning news "What is new?" --cron "0 9 * * mon-fri" --timezone Europe/Athens
schedules add tea reminder "Tell me that the tea is ready" --in 4m
schedules list"""


def parser(verb: str) -> Parser:
    """A word for each thing that can be done."""
    made = make(verb, _EXAMPLES)
    words = Words(made)
    _add_parser(words)
    words.add("list", "what is run when", "schedules list\nschedules list --json")
    show = _one(words, "show", "one of them, with what became of its last times", "schedules show morning")
    show.add_argument("--limit", type=int, default=10, metavar="N", help="how many of the last times (10)")
    _one(words, "pause", "have it come due no more; what runs goes on", "schedules pause morning")
    _one(words, "resume", "have it come due again from now on", "schedules resume morning")
    now = _one(words, "run", "have it run now as well", "schedules run morning")
    now.add_argument("--wait", type=float, default=10.0, metavar="SECONDS", help="how long to wait for its task (10)")
    _one(words, "remove", "remove one of your own, with its history; its tasks stay", "schedules remove morning")
    return made


def _add_parser(words: Words) -> None:
    add = words.add("add", "have an agent or a workflow run when it is due, as you", _EXAMPLES.rpartition("\n")[0])
    add.add_argument("name", metavar="NAME", help="what it is called: a-z, 0-9 and hyphen")
    add.add_argument("what", metavar="WHAT", help="the agent or workflow")
    add.add_argument("text", metavar="TEXT", nargs="?", default="", help="what is said to it each time")
    when = add.add_mutually_exclusive_group(required=True)
    when.add_argument(
        "--cron", default="", metavar="FIELDS", help='again and again, such as "0 9 * * mon-fri" or @daily'
    )
    when.add_argument("--at", default="", metavar="TIME", help="once: 2026-12-24T18:00, 18:00, or tomorrow 09:00")
    when.add_argument("--in", dest="after", default="", metavar="DURATION", help="once, after that: 20m, 1h30m")
    add.add_argument("--timezone", default="", metavar="ZONE", help="of these times (this machine's)")
    add.add_argument("--file", action="append", default=[], metavar="F", help="a file to give it (again for more)")
    add.add_argument("--input", action="append", default=[], metavar="K=V", help="an input by name; a file by its path")
    add.add_argument(
        "--missed", choices=["skip", "once", "all"], help="times at which no host worked: skip, run once, or all (once)"
    )
    add.add_argument("--most-missed", type=int, metavar="N", help="with --missed all: how many at most (10)")
    add.add_argument("--grace", default="", metavar="DURATION", help="how late it may begin and isn't missed (60s)")
    add.add_argument(
        "--overlap",
        choices=["skip", "queue", "allow", "replace"],
        help="while the run before goes on: skip this one, queue it, allow both, or replace the one before (skip)",
    )
    add.add_argument("--until", default="", metavar="TIME", help="the last moment at which it may come due")
    add.add_argument("--count", type=int, metavar="N", help="how often it comes due")
    add.add_argument("--conversation", default="", metavar="NAME", help="the conversation that its tasks belong to")
    add.add_argument("--description", default="", metavar="TEXT", help="what it is for")


def _one(words: Words, name: str, text: str, examples: str) -> Parser:
    made = words.add(name, text, examples)
    made.add_argument("schedule", metavar="SCHEDULE", help="its name or id, as `schedules list` shows them")
    return made


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Do what the word says."""
    async with door.host() as host:
        if host.schedules is None:
            raise Unavailable("this host has no schedules; ask the one that `agenthost up` started")
        if args.word == "add":
            return await _add(args, host, host.schedules, screen)
        if args.word == "run":
            return await _run(args, host, host.schedules, screen)
        return await _WORDS[args.word](args, host.schedules, screen)


async def _add(args: Namespace, host: Reached, schedules: OwnSchedules, screen: Screen) -> int:
    zone = read_zone(args.timezone) if args.timezone else here(local_zone())
    kind = "workflow" if args.what in await host.api.manifests("workflow") else "agent"
    run: dict[str, Any] = {kind: args.what}
    if args.text:
        run["text"] = args.text
    if given := await inputs(host.api, args.what, args.input):
        run["inputs"] = given
    if args.file:
        files = [await put(host.api, path) for path in args.file]
        run["files"] = [
            {"digest": each.digest, "name": each.name, "mediaType": each.media_type, "size": each.size}
            for each in files
        ]
    spec: dict[str, Any] = _times(args, zone) | {"timezone": zone.key, "run": run}
    named = {"missed": args.missed, "mostMissed": args.most_missed, "grace": args.grace, "overlap": args.overlap}
    named |= {"count": args.count, "conversation": args.conversation, "description": args.description}
    spec |= {key: value for key, value in named.items() if value not in (None, "")}
    made = await schedules.add(NewSchedule(args.name, spec))
    if screen.json:
        screen.object(made)
        return 0
    screen.say(f"{made.name} comes {_next(made)}.")
    if host.own:
        screen.hint("no host is running; what is due is run when one does: agenthost up")
    return 0


def _times(args: Namespace, zone: ZoneInfo) -> dict[str, Any]:
    now = time.time()
    times: dict[str, Any] = {"cron": args.cron} if args.cron else {}
    if args.at:
        times["at"] = shown(read_when(args.at, zone, now), zone)
    if args.after:
        try:
            times["at"] = shown(ceil(now + float(read_duration(args.after))), zone)
        except ValueError as error:
            raise BadInput(f"--in {args.after}: {error}") from None
    if args.until:
        times["until"] = shown(read_when(args.until, zone, now), zone)
    return times


async def _list(args: Namespace, schedules: OwnSchedules, screen: Screen) -> int:
    found = await schedules.all()
    if screen.json:
        screen.object(found)
    elif not found and screen.live:
        screen.say("There is no schedule yet. Make one with: agenthost schedules add NAME WHAT TEXT --cron ...")
    else:
        screen.table(["name", "when", "runs", "next", "state", "as"], [_row(each) for each in found])
    return 0


def _row(schedule: ScheduleInfo) -> list[str]:
    run: dict[str, Any] = schedule.spec.get("run") or {}
    state = schedule.state + (f": {schedule.why}" if schedule.why else "")
    what = str(run.get("agent") or run.get("workflow") or "")
    return [schedule.name, schedule.when, what, _next(schedule, ""), state, schedule.person]


def _next(schedule: ScheduleInfo, never: str = "no more") -> str:
    return _moment(schedule.due, schedule) if schedule.due is not None else never


def _moment(moment: float, schedule: ScheduleInfo) -> str:
    """A time as the schedule's own clocks show it."""
    zone = ZoneInfo(str(schedule.spec.get("timezone", "UTC")))
    return datetime.fromtimestamp(moment, zone).strftime("%Y-%m-%d %H:%M %Z")


async def _show(args: Namespace, schedules: OwnSchedules, screen: Screen) -> int:
    if not 0 < args.limit <= 500:
        raise BadInput("--limit takes a number from 1 to 500")
    found = await schedules.show(args.schedule)
    page = await schedules.runs(found.id, limit=args.limit)
    if screen.json:
        screen.object({"schedule": found, "runs": page.items})
        return 0
    screen.say(f"{found.name}  {found.state}" + (f": {found.why}" if found.why else ""))
    screen.say(f"id {found.id}, of {'a manifest' if found.manifest else 'its own'}, runs as {found.person}")
    screen.say(f"when {found.when}")
    for moment in found.next:
        screen.say(f"next {_moment(moment, found)}")
    for task in found.going:
        screen.say(f"going on {task}")
    if found.waiting:
        screen.say(f"waiting {found.waiting}")
    if page.items:
        rows = [_run_row(run, found) for run in page.items]
        screen.table(["due", "became", "task", "outcome"], rows)
    return 0


def _run_row(run: RunInfo, schedule: ScheduleInfo) -> list[str]:
    due = _moment(run.due, schedule)
    if run.count > 1:
        due += f" to {_moment(run.until, schedule)} ({run.count} times)"
    became = run.state + (" late" if run.late else " by hand" if run.manual else "")
    return [due, became, run.task, run.outcome or run.why]


async def _pause(args: Namespace, schedules: OwnSchedules, screen: Screen) -> int:
    return _changed(await schedules.pause(args.schedule), screen)


async def _resume(args: Namespace, schedules: OwnSchedules, screen: Screen) -> int:
    return _changed(await schedules.resume(args.schedule), screen)


def _changed(schedule: ScheduleInfo, screen: Screen) -> int:
    if screen.json:
        screen.object(schedule)
    elif schedule.due is None:
        screen.say(f"{schedule.name} is {schedule.state}.")
    else:
        screen.say(f"{schedule.name} comes {_next(schedule)}.")
    return 0


async def _run(args: Namespace, host: Reached, schedules: OwnSchedules, screen: Screen) -> int:
    """1 where it couldn't be started."""
    made = await schedules.run(args.schedule)
    if not host.own:
        made = await _begun(schedules, made, args.wait)
    if screen.json:
        screen.object(made)
    elif made.task:
        screen.line(made.task)
        screen.hint(f"follow it: agenthost tasks follow {made.task}")
    else:
        screen.say(f"It didn't start: {made.why}." if made.state == "failed" else "It didn't start yet.")
    if host.own:
        screen.hint("no host is running; it is run when one does: agenthost up")
    return 1 if made.state == "failed" else 0


async def _begun(schedules: OwnSchedules, run: RunInfo, seconds: float) -> RunInfo:
    """A run once it has begun or can't, or as it is after so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            while run.state in ("waiting", "starting"):
                await asyncio.sleep(LOOK)
                page = await schedules.runs(run.schedule)
                run = next((each for each in page.items if each.due == run.due), run)
    except TimeoutError:
        pass
    return run


async def _remove(args: Namespace, schedules: OwnSchedules, screen: Screen) -> int:
    await schedules.remove(args.schedule)
    if screen.json:
        screen.object({"schedule": args.schedule, "outcome": "removed"})
    screen.say(f"{args.schedule} was removed; its tasks stay.")
    return 0


_WORDS = {"list": _list, "show": _show, "pause": _pause, "resume": _resume, "remove": _remove}
