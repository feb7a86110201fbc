"""Tasks done over: `tasks replay` of a task, of an export, of a folder of exports; `tasks export`, `tasks fork`."""

import asyncio
from argparse import Namespace
from pathlib import Path

import msgspec

from agenthost.cli import options, paths
from agenthost.cli.connect import Reached
from agenthost.cli.follow import follow
from agenthost.cli.options import Parser
from agenthost.cli.render.contrasts import contrasted
from agenthost.cli.render.words import clean, plural
from agenthost.cli.screen import Screen
from agenthost.cli.summary import summarise
from agenthost.cli.working import Say, work
from agenthost.core.api import HostApi
from agenthost.core.errors import Unavailable, Unusable
from agenthost.core.importing import ImportOrder
from agenthost.core.lifecycle import FINAL
from agenthost.core.replaying import FileReport, ForkOrder, ReplayReport, TrialOrder


def words(group: options.Words) -> None:
    """The words of this module."""
    replay = group.add(
        "replay",
        "decide a task's journal again and compare; nothing is performed",
        "tasks replay last\ntasks replay task.zip\ntasks replay tests/recordings --junit report.xml",
    )
    replay.add_argument(
        "target", metavar="TASK|FILE|DIR", help="a task here; or an export, or a folder of exports, which needs no host"
    )
    replay.add_argument("--junit", metavar="FILE", help="write the result of files there too, as JUnit's XML")
    replay.add_argument(
        "--model",
        metavar="NAME",
        default="",
        help="run it again with this model instead, its tools answered from what was recorded, and show the difference",
    )
    replay.add_argument(
        "--unrecorded",
        choices=["stop", "error"],
        default="stop",
        help="with --model, where it wants what wasn't recorded: end the trial (stop), or tell the model that it failed",
    )
    fork = _task(
        group,
        "fork",
        "a new task that goes on from an event of this one",
        'tasks fork last "and in French"\ntasks fork 0swkq9dztb8pz1q4 --at 12 --definitions current',
    )
    fork.add_argument("text", metavar="TEXT", nargs="?", default="", help="what is said to it first")
    fork.add_argument(
        "--at", metavar="EVENT", type=int, default=0, help="the number of the event (the last one before its end)"
    )
    fork.add_argument(
        "--definitions",
        choices=["pinned", "current"],
        default="",
        help="go on with the definitions that it was started with (pinned), or with those of now, as a fork of an import always does",
    )
    fork.add_argument("--detach", action="store_true", help="don't wait for its end")
    export = _task(
        group, "export", "everything about it as one file, to replay it elsewhere", "tasks export last --to task.zip"
    )
    export.add_argument("--to", metavar="FILE", help="where to write (TASK.zip)")
    taken = group.add(
        "import",
        "take an export in as a task that rests for good: to be shown, replayed, forked, exported",
        "tasks import task.zip",
    )
    taken.add_argument("file", metavar="FILE", help="an export, as `tasks export` writes it")


def _task(group: options.Words, name: str, text: str, examples: str) -> Parser:
    made = group.add(name, text, examples)
    made.add_argument("task", metavar="TASK", help="its id, the beginning of it, or `last`")
    return made


def is_path(target: str) -> bool:
    """Whether it names files, and no task of a host."""
    return "/" in target or "\\" in target or target.endswith(".zip") or (target != "last" and Path(target).exists())


async def replay_files(args: Namespace, screen: Screen) -> int:
    """Decide exports again, without a host: 0 all the same, 1 some differ, 2 some can't be read."""
    from agenthost.host.replaying import suite

    folder = await asyncio.to_thread(Path(args.target).is_dir)
    files = await asyncio.to_thread(suite.exports_in, Path(args.target)) if folder else [Path(args.target)]

    def job(say: Say) -> list[FileReport]:
        return suite.replay_files(files, lambda done, total: say("replaying", done, total))

    reports = await work(screen, job)
    if args.junit:
        paths.write(args.junit, suite.junit(reports).encode(), option="--junit")
    if screen.json:
        screen.object(reports)
    else:
        _show(screen, reports, single=not folder)
    return suite.exit_code(reports)


def _show(screen: Screen, reports: list[FileReport], single: bool) -> None:
    if not single:
        screen.table(["file", "what", "tasks", "events", "commands", "result"], [_row(report) for report in reports])
    for report in reports:
        if report.unread:
            screen.say(f"{report.file}: can't be read: {report.unread}", "red")
            continue
        for each in report.reports:
            if single or not each.agrees:
                tell(screen, each, "" if single else f"{report.file}: ")
    if not single:
        differ = sum(1 for report in reports if not report.unread and not report.agrees)
        unread = sum(1 for report in reports if report.unread)
        told = f"{len(reports)} exports: {len(reports) - differ - unread} the same, {differ} differ, {unread} can't be read"
        screen.say(told, "red" if differ or unread else "bold")


def _row(report: FileReport) -> list[str]:
    if report.unread:
        return [report.file, "", "", "", "", "can't be read"]
    events, commands = sum(each.events for each in report.reports), sum(each.commands for each in report.reports)
    told = "the same" if report.agrees else "differs"
    return [report.file, report.name, str(len(report.reports)), str(events), str(commands), told]


def tell(screen: Screen, report: ReplayReport, before: str = "") -> None:
    """One journal that was decided again, in words."""
    told = f"{before}{report.task}: {report.events} events, {report.commands} commands, "
    if report.given:
        told += f"the first {report.given} taken over, "
    if report.agrees:
        screen.say(told + "the same")
        return
    screen.say(told + f"differs at event {report.seq}: {report.difference}", "red")
    for each in report.differences[1:]:
        screen.say(clean(f"  {each.place}: {each.journal!r} in the journal, {each.program!r} now"))


async def try_again(args: Namespace, host: Reached, screen: Screen) -> int:
    """Run a task of the host, or that of an export, again with another model: 0 where it ended as it did then, else 1."""
    order = TrialOrder(args.model, unrecorded=args.unrecorded)
    if is_path(args.target):
        content = await asyncio.to_thread(paths.read_bytes, args.target)
        kept = await host.api.put_file(Path(args.target).name, content, "application/zip")
        order = msgspec.structs.replace(order, file=kept.digest)
    else:
        order = msgspec.structs.replace(order, task=await host.api.find(args.target))
    row = await host.api.try_again(order)
    screen.hint(f"the trial is the task {row.id}")
    async for _ in host.api.follow(row.id):
        pass
    found = await host.api.contrast(row.id)
    if screen.json:
        screen.object(found)
    else:
        contrasted(screen, found)
    return 0 if (found.then.state, found.then.outcome) == (found.now.state, found.now.outcome) else 1


async def fork_task(args: Namespace, host: Reached, screen: Screen) -> int:
    """Go on from an event of a task, in a new one."""
    row = await host.api.fork(args.task, ForkOrder(args.at, args.text, args.definitions))
    if args.detach:
        if screen.json:
            screen.object(row)
        else:
            screen.line(row.id)
        return 0
    screen.hint(f"the fork is the task {row.id}")
    code, view = await follow(host, screen, row.id)
    return await summarise(host, screen, view) if code is None else code


async def replay_task(args: Namespace, api: HostApi, screen: Screen) -> int:
    """Decide the journals of a task of a host again."""
    reports = await api.replay(args.task)
    if screen.json:
        screen.object(reports)
    for report in [] if screen.json else reports:
        tell(screen, report)
    return 0 if all(report.agrees for report in reports) else 1


async def export_task(args: Namespace, api: HostApi, screen: Screen) -> int:
    """Write a task's export."""
    target = args.to or f"{args.task}.zip"
    content = await api.export(args.task)
    paths.write(target, content, option="--to")
    if screen.json:
        screen.object({"task": args.task, "file": target, "size": len(content)})
    else:
        screen.line(target)
    return 0


async def import_file(args: Namespace, host: Reached, screen: Screen) -> int:
    """Take an export in."""
    if host.importing is None:
        raise Unavailable("this host imports nothing; ask the one that `agenthost up` started")
    content = await asyncio.to_thread(paths.read_bytes, args.file)
    kept = await host.api.put_file(Path(args.file).name, content, "application/zip")
    try:
        taken = await host.importing.take(ImportOrder(kept.digest))
    except Unusable as error:
        raise Unusable(f"{args.file}: {error.message}") from error
    if screen.json:
        screen.object(taken)
        return 0
    screen.line(taken.row.id)
    rests = "" if taken.row.state in FINAL else f", at rest as it was ({taken.row.state})"
    tasks, events = plural(taken.tasks, "task"), plural(taken.events, "event")
    screen.hint(f"it was {taken.origin} where it was exported: {tasks}, {events}{rests}")
    if taken.missing:
        screen.hint(f"{plural(taken.missing, 'file')} of it weren't in the export")
    if not taken.agrees:
        screen.say(f"Decided again, it differs: {clean(taken.difference)}", "yellow")
    screen.hint(f"go on from it: agenthost tasks fork {taken.row.id}")
    return 0
