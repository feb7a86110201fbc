"""`agenthost tasks ...`: see, follow, answer, cancel, replay, fork, move, delete tasks. A task is named by its id, its beginning, or `last`."""

from argparse import Namespace
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

from agenthost.cli import evidence, folder, moving, options, replaying, standing
from agenthost.cli.asking import decision
from agenthost.cli.budgets import row as row_of_budget
from agenthost.cli.connect import Door
from agenthost.cli.deleting import delete_task, sure
from agenthost.cli.follow import follow
from agenthost.cli.options import Parser
from agenthost.cli.render import plain
from agenthost.cli.render.view import View
from agenthost.cli.render.words import count, duration, money, one_line, size
from agenthost.cli.run import offer
from agenthost.cli.screen import Screen
from agenthost.cli.summary import part_text, summarise
from agenthost.cli.views import make_view, read_view
from agenthost.core.api import HostApi, OpenQuestion
from agenthost.core.errors import AgentHostError, BadInput
from agenthost.core.events import Created
from agenthost.core.ids import root_id
from agenthost.core.lifecycle import FINAL, LIFECYCLE, State
from agenthost.core.ports import Filter
from agenthost.core.questions import cut, terms_of
from agenthost.core.spending import BudgetLine
from agenthost.core.tasks import Imported, TaskRow
from agenthost.machine.words import amount

SHOWN = 2000
"""Characters of a question that a terminal shows at once."""


def parser(verb: str) -> Parser:
    """A word for each thing that can be done with a task."""
    made = options.make(verb, "tasks list\ntasks follow last\ntasks reply last yes")
    group = options.Words(made)
    listing = group.add("list", "the newest tasks", "tasks list\ntasks list --state working --state failed")
    listing.add_argument("--state", action="append", choices=list(LIFECYCLE), default=[], help="only in this state")
    listing.add_argument("--all", action="store_true", help="child tasks too")
    listing.add_argument("--limit", type=int, default=20, help="how many (20)")
    listing.add_argument("--names", action="store_true", help="ids only, for completion")
    _task(group, "show", "a task, what is below it, what it waits for", "tasks show last")
    _task(group, "follow", "what happens, until it ends", "tasks follow last")
    files = _task(group, "artifacts", "the files it produced", "tasks artifacts last --out ./result")
    files.add_argument("--out", metavar="DIR", help="write them into this folder")
    files.add_argument("--apply", metavar="DIR", help="show the difference to this folder, and apply it")
    files.add_argument("--yes", action="store_true", help="apply without asking")
    cancel = _task(group, "cancel", "stop it for good", "tasks cancel last --reason 'wrong file'")
    cancel.add_argument("--reason", default="", help="why; it is kept with the task")
    pause = _task(group, "pause", "have it rest until it is resumed", "tasks pause last --reason 'not today'")
    pause.add_argument("--reason", default="", help="why; it is kept with the task")
    _task(group, "resume", "have a paused one go on", "tasks resume last")
    moved = _task(
        group,
        "move",
        "give its last message to another task",
        "tasks move last --to 1k3\ntasks move last --to new --name coder",
    )
    moving.words(moved)
    reply = _task(group, "reply", "answer its question", 'tasks reply last "use SQLite"')
    reply.add_argument("text", metavar="TEXT", help="the answer")
    _question(reply)
    group.add("questions", "every question that waits for you, of any task", "tasks questions")
    agreed = _task(
        group,
        "approve",
        "agree to what it asks",
        "tasks approve last\ntasks approve last --always\ntasks approve last --always --like path='reports/*' --any body",
    )
    _question(agreed)
    standing.options_of(agreed)
    _question(_task(group, "deny", "refuse what it asks", "tasks deny last"))
    replaying.words(group)
    evidence.add_to(_task(group, "evidence", *evidence.TOLD))
    delete = _task(
        group,
        "delete",
        "delete it for good, with everything below it and its files",
        "tasks delete 0swkq9dztb8pz1q4\ntasks delete last --force --yes",
    )
    delete.add_argument("--force", action="store_true", help="also one that goes on: it is cancelled first")
    sure(delete)
    return made


def _task(group: options.Words, name: str, text: str, examples: str) -> Parser:
    made = group.add(name, text, examples)
    made.add_argument("task", metavar="TASK", help="its id, the beginning of it, or `last`")
    return made


def _question(parser: Parser) -> None:
    parser.add_argument("--question", default="", metavar="ID", help="which question, where several are open")


async def run(args: Namespace, door: Door, screen: Screen) -> int:
    """Do what the word says."""
    verbs: dict[str, Callable[[Namespace, HostApi, Screen], Awaitable[int]]] = {
        "list": _list,
        "show": _show,
        "artifacts": _artifacts,
        "cancel": _cancel,
        "pause": _pause,
        "resume": _resume,
        "reply": _reply,
        "approve": _decide,
        "deny": _decide,
        "questions": _questions,
        "replay": replaying.replay_task,
        "export": replaying.export_task,
        "evidence": evidence.run,
    }
    if args.word == "replay" and args.model:
        async with door.host(work=True) as host:
            return await replaying.try_again(args, host, screen)
    if args.word == "replay":
        if replaying.is_path(args.target):
            return await replaying.replay_files(args, screen)
        args.task = args.target
    if args.word == "evidence" and replaying.is_path(args.task):
        return await evidence.of_export(args, screen)
    if args.word == "import":
        async with door.host() as host:
            return await replaying.import_file(args, host, screen)
    # What is answered or cancelled is carried out by the host that works on it; following works on it too, and so does
    # having it end.
    work = args.word in ("follow", "fork", "move") or (args.word == "delete" and args.force)
    async with door.host(work=work) as host:
        if args.word not in ("list", "questions"):
            args.task = await host.api.find(args.task)
        if args.word == "delete":
            return await delete_task(args, host, screen)
        if args.word == "move":
            return await moving.run(args, host, screen)
        if args.word == "fork":
            return await replaying.fork_task(args, host, screen)
        if args.word != "follow":
            code = await verbs[args.word](args, host.api, screen)
            if args.word == "show" and host.budgets is not None and not screen.json:
                _budgets(screen, await host.budgets.of_task(args.task))
            if host.own and args.word in ("reply", "approve", "deny", "cancel", "resume") and not code:
                screen.hint(f"no host is running; it goes on with: agenthost tasks follow {args.task}")
            return code
        code, view = await follow(host, screen, args.task)
        return await summarise(host, screen, view) if code is None else code


async def _list(args: Namespace, api: HostApi, screen: Screen) -> int:
    states: list[State] = args.state
    rows = await api.tasks(Filter(states=tuple(states), roots_only=not args.all, limit=args.limit))
    if args.names:
        for row in rows:
            screen.line(row.id)
    elif screen.json:
        screen.object(rows)
    elif not rows and screen.live:
        screen.say("There are no tasks yet. Begin with: agenthost demo")
    else:
        columns = ["task", "state", "what", "since", "took", "title"]
        screen.table(columns, [_row(row) for row in rows])
    return 0


def _row(row: TaskRow) -> list[str]:
    since = datetime.fromtimestamp(row.created).strftime("%Y-%m-%d %H:%M")
    took = duration(row.updated - row.created) if row.state in FINAL else ""
    return [row.id, _state(row), row.name, since, took, one_line(row.reason or row.title, 60)]


def _state(row: TaskRow) -> str:
    return row.state + (f" ({row.hold})" if row.hold else "")


async def _show(args: Namespace, api: HostApi, screen: Screen) -> int:
    detail = await api.task(args.task)
    if screen.json:
        screen.object(detail)
        return 0
    row = detail.row
    try:
        view, unread = await read_view(api, args.task), ""
    except AgentHostError as error:
        view, unread = await make_view(api, args.task), error.message
    screen.say(f"{row.kind} {row.name}  {row.id}", "bold")
    screen.say(f"state    {_state(row)}" + (f", {row.outcome}" if row.outcome else ""))
    if row.reason:
        screen.say(f"reason   {row.reason}")
    elif unread:
        screen.say(f"journal  {unread}")
    screen.say(f"began    {datetime.fromtimestamp(row.created):%Y-%m-%d %H:%M:%S}")
    if row.state in FINAL:
        screen.say(f"took     {duration(row.updated - row.created)}")
    else:
        await _waits(api, screen, row)
    spent = detail.spent
    if (imported := await _imported(api, row.id)) is not None:
        then = imported.spent
        used = f"{then.turns} model calls, {count(then.tokens)} tokens, {money(then.cost)} were spent there"
        screen.say(f"import   it was done elsewhere, as {imported.task}; {used}")
    screen.say(f"spent    {spent.turns} model calls, {count(spent.tokens)} tokens, {money(spent.cost)}")
    if detail.trace:
        screen.say(f"trace    {detail.trace}")
    for part in view.top.parts:
        screen.say(f"output   {part_text(part)}")
    if detail.children:
        screen.say("")
        screen.table(
            ["task", "state", "who", "model", "took", "reason"],
            [_child(view, child) for child in detail.children],
        )
    for question in detail.questions:
        _asks(screen, question)
    return 0


async def _imported(api: HostApi, task: str) -> Imported | None:
    """Where a task was done, if it was elsewhere."""
    try:
        first = await api.events(task, 0, 1)
    except AgentHostError:
        return None
    created = first[0].event if first else None
    return created.spec.imported if isinstance(created, Created) else None


def _budgets(screen: Screen, lines: list[BudgetLine]) -> None:
    """Say what bounds the task, and what of it is spent."""
    if lines:
        screen.say("")
        screen.table(["budget of", "at most", "spent", "begins anew", "by"], [row_of_budget(line) for line in lines])


async def _waits(api: HostApi, screen: Screen, row: TaskRow) -> None:
    """Say what the task's tree waits for."""
    for place, waiting in enumerate((await api.info()).waiting):
        if root_id(waiting.who) == root_id(row.id):
            screen.say(f"waits    for {amount(waiting.need)} ({place} before it)", "yellow")


def _child(view: View, row: TaskRow) -> list[str]:
    look = view.look(row.id)
    took = duration(row.updated - row.created)
    return [row.id, _state(row), plain.who(look), look.model, took, one_line(row.reason, 60)]


async def _artifacts(args: Namespace, api: HostApi, screen: Screen) -> int:
    if args.apply:
        return await offer(api, screen, await read_view(api, args.task), Path(args.apply), None, args.yes)
    artifacts = await api.artifacts(args.task)
    if args.out:
        for path in await folder.write_out(api, Path(args.out), artifacts):
            if not screen.json:
                screen.line(str(path))
    elif not screen.json:
        screen.table(
            ["file", "size", "digest"],
            [[each.path, size(each.size) if each.size else "", each.digest] for each in artifacts],
        )
    if screen.json:
        screen.object(artifacts)
    return 0


async def _cancel(args: Namespace, api: HostApi, screen: Screen) -> int:
    row = (await api.task(args.task)).row
    if row.state in FINAL:
        raise BadInput(f"task {row.id} has ended already ({row.state}); there is nothing to cancel")
    await api.cancel(args.task, reason=args.reason)
    if screen.json:
        screen.object({"task": args.task, "cancel": "asked"})
    else:
        screen.say(f"Cancel was asked for. See it end: agenthost tasks follow {args.task}")
    return 0


async def _pause(args: Namespace, api: HostApi, screen: Screen) -> int:
    await api.pause(args.task, reason=args.reason)
    return _told(
        screen,
        args.task,
        "paused",
        f"It rests as soon as what it does has ended; go on: agenthost tasks resume {args.task}",
    )


async def _resume(args: Namespace, api: HostApi, screen: Screen) -> int:
    await api.resume(args.task)
    return _told(screen, args.task, "resumed", f"It goes on. See it: agenthost tasks follow {args.task}")


def _told(screen: Screen, task: str, done: str, words: str) -> int:
    if screen.json:
        screen.object({"task": task, done: True})
    else:
        screen.say(words)
    return 0


async def _reply(args: Namespace, api: HostApi, screen: Screen) -> int:
    return _replied(screen, await api.reply(args.task, args.text, args.question, via="cli"), args.text)


async def _decide(args: Namespace, api: HostApi, screen: Screen) -> int:
    always = standing.always_of(args) if args.word == "approve" else None
    questions = (await api.task(args.task)).questions
    if not questions:
        # The host says who was first.
        said = "approve" if args.word == "approve" else "deny"
        return _replied(screen, await api.reply(args.task, said, args.question, via="cli"), said)
    question = _which(args.task, questions, args.question)
    text = decision(question.ask, args.word == "approve")
    return _replied(
        screen, await api.reply(args.task, text, f"{question.task}/{question.ask.id}", via="cli", always=always), text
    )


async def _questions(args: Namespace, api: HostApi, screen: Screen) -> int:
    found = await api.questions()
    if screen.json:
        screen.object(found)
        return 0
    for question in found:
        _asks(screen, question)
    if not found:
        screen.say("Nothing waits for an answer of yours.")
    return 0


def _asks(screen: Screen, question: OpenQuestion) -> None:
    ask = question.ask
    screen.say(f"\nasks ({question.task}/{ask.id}): {cut(ask.question, SHOWN, _all_of(question))}", "bold yellow")
    for number, option in enumerate(ask.options, 1):
        screen.say(f"  {number}. {option}")
    if ask.by:
        screen.say(f"  to be answered by: {', '.join(ask.by)}")
    if told := terms_of(ask, question.at):
        screen.say(f"  {told}")


def _all_of(question: OpenQuestion) -> str:
    return f"agenthost tasks show {question.task} --json"


def _which(task: str, questions: tuple[OpenQuestion, ...], wanted: str) -> OpenQuestion:
    found = [question for question in questions if not wanted or f"{question.task}/{question.ask.id}" == wanted]
    if not found:
        raise BadInput(f"task {task} has no open question" + (f" '{wanted}'" if wanted else ""))
    if len(found) > 1:
        ids = ", ".join(f"{question.task}/{question.ask.id}" for question in found)
        raise BadInput(f"task {task} has several open questions; name one with --question: {ids}")
    return found[0]


def _replied(screen: Screen, question: OpenQuestion, text: str) -> int:
    if screen.json:
        granted = {"grant": question.grant} if question.grant else {}
        screen.object({"task": question.task, "question": question.ask.id, "answer": text} | granted)
    else:
        screen.say(f"Answered '{text}' to: {cut(question.ask.question, SHOWN, _all_of(question))}")
        if question.grant:
            screen.say(f"Such calls are allowed from now on; take it back: agenthost grants remove {question.grant}")
    return 0
