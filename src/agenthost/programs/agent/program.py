"""The agent as a program: what it asks for next, and what each event means to it."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from msgspec import Struct

from agenthost.core.commands import CallModel, Command, Evaluate, Finish, RunCommand, Verdict, View, Wait
from agenthost.core.definitions import Bundle, PinnedAgent, PinnedTool
from agenthost.core.events import Asked, Created, Received, Recorded, RunResult, ScriptRequest, Value
from agenthost.core.manifests.agent import AgentSpec, Stage
from agenthost.core.models import ModelAnswer, ModelRequest, Turn
from agenthost.core.parts import Message, TextPart, text_of
from agenthost.core.ports import Evaluation
from agenthost.core.tasks import TaskSpec
from agenthost.core.tools import ToolSpec
from agenthost.programs.agent import calls, completion, context, script
from agenthost.programs.agent.state import AgentState
from agenthost.programs.base import Delivery, awaits, shared_commands, track

MAX_CUTS = 3
"""How often an answer that was cut at its limit is continued."""

MAX_SQUEEZES = 2
"""How often the exchange is made smaller because the provider says that it is too long."""

MAX_WRONG = 5
"""How many turns in a row may consist of nothing but wrong tool calls."""

ASK_PERSON = PinnedTool(
    name="ask_person",
    description="Ask the person who gave this task. Use it only for what you can't find out or decide yourself.",
    parameters={
        "type": "object",
        "properties": {
            "question": {"type": "string"},
            "options": {"type": "array", "items": {"type": "string"}, "description": "Answers to choose from, if any."},
        },
        "required": ["question"],
        "additionalProperties": False,
    },
    read_only=True,
)

SUMMARY_INSTRUCTIONS = (
    "You sum up a long exchange between an agent, a person and tools, so that the agent can go on with your summary "
    "alone. Keep: the task and every wish of the person word for word, what was decided and why, what was done and with "
    "what result, file paths, names, numbers, errors that are still open, and what was to be done next. Leave out: "
    "greetings, repeated output, what is superseded."
)


class Toolbox(Struct, frozen=True):
    """The tools of one stage, by name, and what they and the fixed instructions take of the window."""

    tools: dict[str, PinnedTool]
    specs: tuple[ToolSpec, ...]
    instructions: str
    tokens: int


class AgentProgram:
    """The program of every agent of one bundle."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        # Derived from the pinned bundle alone, so that remembering it changes no answer.
        self._toolbox = lru_cache(maxsize=256)(self._make_toolbox)
        self._functions = lru_cache(maxsize=256)(script.functions)

    # --- the port -------------------------------------------------------------------------------

    def initial(self, spec: TaskSpec) -> AgentState:
        """The state before the first event."""
        return AgentState(spec=spec)

    def apply(self, state: AgentState, recorded: Recorded) -> AgentState:
        """What an event means to the agent."""
        delivery = track(state, recorded)
        event = recorded.event
        if isinstance(event, Created):
            self._begin(state)
        elif isinstance(event, Asked):
            self._asked(state, event.command)
        elif isinstance(event, Received):
            self._received(state, event.message)
        elif delivery is not None and state.finish is None:
            self._take(state, delivery)
        return state

    def decide(self, state: AgentState) -> list[Command | Finish]:
        """What should happen now."""
        if state.finished is not None:
            return []
        wanted = list(shared_commands(state))
        if state.cancel is not None:
            return wanted
        if state.finish is not None:
            return [state.finish]
        wanted += (command for command in self._next(state) if not awaits(state, command.id))
        return wanted

    def render(self, state: AgentState, command: CallModel) -> ModelRequest:
        """The request that a CallModel stands for."""
        agent = self._agent(state)
        metadata = {"task": state.spec.id, "agent": state.spec.name, "purpose": command.purpose}
        if command.purpose == "summary":
            turns = context.shown(state, command.view)
            told = "Sum up this exchange.\n\n" + context.as_text(turns)
            return ModelRequest(
                command.model, SUMMARY_INSTRUCTIONS, (Turn("user", (TextPart(told),)),),
                max_output=command.max_output, key=command.id, metadata=metadata,
            )  # fmt: skip
        box = self._toolbox(state.spec.name, state.stage)
        spec = agent.manifest.spec
        scripted = command.purpose == "script"
        instructions = (
            f"{box.instructions}\n\n{state.extra_instructions}" if state.extra_instructions else box.instructions
        )
        return ModelRequest(
            command.model,
            spec.instructions if scripted else instructions,
            (Turn("user", (TextPart(state.script_prompt),)),) if scripted else context.shown(state, command.view),
            () if scripted else box.specs,
            state.script_schema if scripted else spec.output if agent.model.structured and not box.specs else None,
            command.max_output,
            spec.temperature,
            command.id,
            metadata,
        )

    def bind(self, state: AgentState, command: Evaluate) -> Evaluation:
        """Everything that an Evaluate needs."""
        return script.evaluation(state, command, self._spec(state).script)

    # --- what there is --------------------------------------------------------------------------

    def _agent(self, state: AgentState) -> PinnedAgent:
        return self._bundle.agents[state.spec.name]

    def _spec(self, state: AgentState) -> AgentSpec:
        return self._bundle.agents[state.spec.name].manifest.spec

    def _stage(self, spec: AgentSpec, stage: str) -> Stage | None:
        return next((found for found in spec.stages if found.id == stage), None)

    def _make_toolbox(self, name: str, stage_id: str) -> Toolbox:
        agent = self._bundle.agents[name]
        spec = agent.manifest.spec
        stage = self._stage(spec, stage_id)
        entries = spec.tools if stage is None or stage.tools is None else stage.tools
        tools: dict[str, PinnedTool] = {}
        for entry in entries:
            if entry == "ask":
                tools[ASK_PERSON.name] = ASK_PERSON
            elif entry.startswith("delegate:"):
                tool = self._delegate_tool(entry.removeprefix("delegate:"))
                tools[tool.name] = tool
            else:
                tools.update({tool.name: tool for tool in agent.tools.get(entry, ())})
        if spec.completion.rule == "agent":
            tools[completion.FINISH.name] = completion.FINISH
        specs = tuple(ToolSpec(tool.name, tool.description, tool.parameters) for tool in tools.values())
        pieces = (spec.instructions, stage.instructions if stage else "", completion.closing_instructions(spec))
        instructions = "\n\n".join(piece.strip() for piece in pieces if piece.strip())
        tokens = context.text_tokens(instructions) + sum(
            context.text_tokens(tool.name + tool.description + str(tool.parameters)) for tool in specs
        )
        return Toolbox(tools, specs, instructions, tokens)

    def _delegate_tool(self, agent: str) -> PinnedTool:
        pinned = self._bundle.agents.get(agent)
        about = pinned.manifest.spec.description if pinned else ""
        return PinnedTool(
            name=calls.DELEGATE + agent.replace("-", "_"),
            description=f"Give a piece of work to the agent '{agent}' and wait for its result. {about}".strip(),
            parameters={
                "type": "object",
                "properties": {
                    "task": {"type": "string", "description": "All it needs to know: it sees nothing else."}
                },
                "required": ["task"],
                "additionalProperties": False,
            },
            idempotent=True,
        )

    # --- deciding -------------------------------------------------------------------------------

    def _next(self, state: AgentState) -> Iterator[Command]:
        spec = self._spec(state)
        if spec.budget.duration is not None:
            yield Wait("deadline", state.created_at + spec.budget.duration)
        if state.phase == "calls":
            yield from (pending.next for pending in state.pending if pending.next is not None)
        elif state.phase == "checks":
            yield completion.check_command(state, spec.completion.checks[state.check])
        elif state.phase == "script":
            yield state.script_next or Evaluate(
                f"e{state.evaluations + 1}", function="on_message", step=len(state.script_answers)
            )
        elif state.phase == "stage":
            yield self._preparation(state, spec)
        elif state.phase == "summary":
            cut = context.summary_cut(state)
            worst = int((state.context + 500) * max(1.0, state.ratio))
            yield self._model_call(
                state, f"s{state.squeezes}-{state.base}", View(state.base, cut, state.shortened), worst, "summary"
            )
        elif state.phase == "turn":
            worst = int((context.measured(state) + self._fixed(state)) * 1.1) + 64
            view = View(state.base, state.base + len(state.turns), state.shortened)
            yield self._model_call(state, f"m{state.model_calls + 1}", view, worst, "turn")

    def _model_call(self, state: AgentState, id: str, view: View, worst: int, purpose: str) -> CallModel:
        agent = self._agent(state)
        spec = agent.manifest.spec
        most = min(spec.maxOutputTokens, agent.model.max_output, agent.model.window // 2)
        model = state.spec.model if spec.model == "default" and state.spec.model else spec.model
        return CallModel(id, model, view, purpose, most, worst, spec.fallbacks)

    def _preparation(self, state: AgentState, spec: AgentSpec) -> Evaluate:
        name = f"e{state.evaluations + 1}"
        for function in ("stage", "instructions"):
            if function in self._functions(spec.script) and function not in state.prepared:
                return Evaluate(name, function=function)
        stage = self._stage(spec, state.stage)
        return Evaluate(name, {"when": stage.when if stage else "False"})

    def _fixed(self, state: AgentState) -> int:
        box = self._toolbox(state.spec.name, state.stage)
        return box.tokens + context.text_tokens(state.extra_instructions)

    # --- what events mean -----------------------------------------------------------------------

    def _begin(self, state: AgentState) -> None:
        spec = self._spec(state)
        state.stage = spec.stages[0].id if spec.stages else ""
        context.add(state, Turn("user", state.spec.message.parts), self._agent(state).model)
        if "on_message" in self._functions(spec.script):
            state.phase = "script"
        else:
            self._to_turn(state)

    def _asked(self, state: AgentState, command: Command) -> None:
        if isinstance(command, CallModel) and command.purpose == "turn":
            state.model_calls += 1
            state.stage_turns += 1
            state.phase = "model"
        elif isinstance(command, Evaluate):
            state.evaluations += 1
            state.phase = "script" if command.function == "on_message" else "evaluating"
        elif state.script_next is not None and command.id == state.script_next.id:
            state.script_next = None
            state.phase = "model"
        for pending in state.pending:
            if pending.next is not None and pending.next.id == command.id:
                pending.next = None

    def _received(self, state: AgentState, message: Message) -> None:
        turn = Turn("user", message.parts)
        if state.phase in ("turn", "stage"):
            context.add(state, turn, self._agent(state).model)
            self._fit(state)
        else:
            state.waiting.append(turn)

    def _take(self, state: AgentState, delivery: Delivery) -> None:
        command = delivery.command
        if delivery.id == "deadline":
            spent = self._spec(state).budget.duration
            state.finish = Finish(Verdict("partly", f"the budget of {spent:g} seconds is used up", code="budget"))
        elif isinstance(command, CallModel) and command.purpose == "turn":
            self._answered(state, delivery)
        elif isinstance(command, CallModel) and command.purpose == "summary":
            self._summed_up(state, delivery, command)
        elif isinstance(command, Evaluate):
            self._evaluated(state, delivery, command)
        elif isinstance(command, RunCommand):
            self._checked(state, delivery)
        elif delivery.id.startswith("x"):
            state.script_answers.append(script.answer_value(delivery.answer, delivery.failure))
            state.phase = "script"
        else:
            tools = self._toolbox(state.spec.name, state.stage).tools
            calls.take(state, command, delivery.answer, delivery.failure, tools)
            self._maybe_next_turn(state)

    # --- the model's answers --------------------------------------------------------------------

    def _answered(self, state: AgentState, delivery: Delivery) -> None:
        answer = delivery.answer
        if not isinstance(answer, ModelAnswer):
            self._model_failed(state, delivery)
            return
        self._calibrate(state, answer)
        context.add(state, Turn("assistant", answer.parts, answer.calls), self._agent(state).model)
        state.last_seq = delivery.seq
        text = text_of(answer.parts)
        if answer.stop == "refusal":
            state.finish = Finish(Verdict("blocked", f"the model refused: {text}", code="refused"), answer.parts)
        elif answer.calls:
            state.last_text = text
            calls.plan(state, answer.calls, self._toolbox(state.spec.name, state.stage).tools)
            state.phase = "calls"
            wrong = all(pending.result is not None and pending.result.error for pending in state.pending)
            state.wrong = state.wrong + 1 if wrong else 0
            if state.wrong >= MAX_WRONG:
                reason = f"{MAX_WRONG} turns in a row had nothing but tool calls that can't be made; the last: "
                state.finish = Finish(Verdict("blocked", reason + calls.result_turns(state)[-1].text, code="bad-calls"))
                return
            self._maybe_next_turn(state)
        elif answer.stop == "length":
            self._cut(state, text)
        else:
            state.last_text = state.partial + text
            state.partial = ""
            state.cuts = 0
            self._quiet(state, answer)

    def _model_failed(self, state: AgentState, delivery: Delivery) -> None:
        failure = delivery.failure
        assert failure is not None
        if failure.code == "context-too-long" and state.squeezes < MAX_SQUEEZES and len(state.turns) > 2:
            state.squeezes += 1
            model = self._agent(state).model
            full = context.room(model, self._fixed(state), self._spec(state).maxOutputTokens)
            state.ratio = max(state.ratio * 1.5, 1.2 * full / max(1, state.context))
            self._to_turn(state)
        else:
            state.finish = completion.failed(failure)

    def _calibrate(self, state: AgentState, answer: ModelAnswer) -> None:
        estimated = state.context + context.text_tokens(state.summary) + self._fixed(state)
        if answer.usage.input > 0 and estimated > 0:
            state.ratio = min(4.0, max(0.4, answer.usage.input / estimated))

    def _cut(self, state: AgentState, text: str) -> None:
        state.partial += text
        state.cuts += 1
        if state.cuts > MAX_CUTS:
            reason = f"the model's answer was cut at its limit {state.cuts} times; give the agent more maxOutputTokens"
            state.finish = Finish(Verdict("partly", reason, code="length"), (TextPart(state.partial),))
        else:
            self._tell(state, "Your answer was cut because it became too long. Go on exactly where it stopped.")

    def _quiet(self, state: AgentState, answer: ModelAnswer) -> None:
        if state.waiting:
            self._to_turn(state)
            return
        spec = self._spec(state)
        text = state.last_text
        value: Any = None
        problem = None if text.strip() else "it is empty"
        if problem is None and spec.output is not None:
            value, problem = completion.schema_problem(spec.output, text)
        if problem is not None:
            self._ask_again(state, problem, structured=spec.output is not None)
            return
        state.value = value
        if spec.completion.rule == "checks" and spec.completion.checks:
            state.phase = "checks"
            state.check = 0
            state.check_failures = []
            state.evidence = []
        elif spec.completion.rule == "agent":
            self._remind(state, spec)
        else:
            parts = answer.parts if text == answer.text else (TextPart(text),)
            state.finish = Finish(
                Verdict("done", "it answered and asked for nothing more", (state.last_seq,)),
                completion.output_parts(spec.output, value, parts),
            )

    def _ask_again(self, state: AgentState, problem: str, structured: bool) -> None:
        state.reasks += 1
        what = "Your answer is not the JSON that was asked for" if structured else "Your answer can't be used"
        if state.reasks > completion.MAX_REASKS:
            reason = f"the model's answer could not be used {state.reasks} times in a row: {problem}"
            state.finish = Finish(Verdict("blocked", reason, code="bad-answer"), (TextPart(state.last_text),))
        else:
            self._tell(state, f"{what}: {problem}. Answer again, with nothing else around it.")

    def _remind(self, state: AgentState, spec: AgentSpec) -> None:
        state.rounds += 1
        if state.rounds > spec.completion.maxRounds:
            reason = f"it stopped {state.rounds} times without calling `finish`"
            state.finish = Finish(Verdict("partly", reason, code="not-finished"), (TextPart(state.last_text),))
        else:
            self._tell(state, "Go on with the work. When it is done, or can't be done, call the tool `finish`.")

    def _tell(self, state: AgentState, text: str) -> None:
        context.add(state, Turn("user", (TextPart(text),)), self._agent(state).model)
        self._to_turn(state)

    # --- calls, checks, scripts -----------------------------------------------------------------

    def _maybe_next_turn(self, state: AgentState) -> None:
        if any(pending.result is None for pending in state.pending):
            return
        model = self._agent(state).model
        for turn in calls.result_turns(state):
            context.add(state, turn, model)
        closing = next((pending.call for pending in state.pending if pending.call.name == completion.FINISH.name), None)
        state.pending = []
        if closing is not None:
            arguments = calls.parse_arguments(closing)
            if isinstance(arguments, dict):
                state.finish = completion.from_finish_call(arguments, (state.last_seq,))
                return
        self._to_turn(state)

    def _checked(self, state: AgentState, delivery: Delivery) -> None:
        spec = self._spec(state)
        check = spec.completion.checks[state.check]
        result = delivery.answer if isinstance(delivery.answer, RunResult) else None
        why = "it could not be run" if result is None else completion.met(check.expect, result)
        state.evidence.append(delivery.seq)
        if why is not None:
            state.check_failures.append(completion.check_feedback(check, why, result, delivery.failure))
        state.check += 1
        if state.check < len(spec.completion.checks):
            return
        state.rounds += 1
        parts = completion.output_parts(spec.output, state.value, (TextPart(state.last_text),))
        if not state.check_failures:
            count = len(spec.completion.checks)
            reason = f"{'the check' if count == 1 else f'all {count} checks'} passed"
            state.finish = Finish(Verdict("done", reason, tuple(state.evidence)), parts)
        elif state.rounds >= spec.completion.maxRounds:
            reason = f"after {state.rounds} rounds of checks: " + "\n".join(state.check_failures)
            state.finish = Finish(Verdict("unachievable", reason, tuple(state.evidence), "checks-failed"), parts)
        else:
            self._tell(state, "\n\n".join(state.check_failures) + "\n\nMend this.")

    def _summed_up(self, state: AgentState, delivery: Delivery, command: CallModel) -> None:
        if not isinstance(delivery.answer, ModelAnswer):
            assert delivery.failure is not None
            state.finish = completion.failed(delivery.failure)
            return
        context.drop_before(state, command.view.end)
        state.summary = delivery.answer.text
        state.ratio = min(state.ratio, 1.5)
        self._fit(state)

    def _evaluated(self, state: AgentState, delivery: Delivery, command: Evaluate) -> None:
        answer = delivery.answer
        if delivery.failure is not None:
            state.finish = Finish(
                Verdict("blocked", f"the agent's script: {delivery.failure.message}", code=delivery.failure.code)
            )
        elif isinstance(answer, ScriptRequest):
            self._script_asks(state, answer)
        elif isinstance(answer, Value):
            if command.function == "on_message":
                self._script_ended(state, answer.values.get("result"), delivery.seq)
            else:
                self._prepared(state, command, answer.values)

    def _script_asks(self, state: AgentState, request: ScriptRequest) -> None:
        if len(state.script_answers) >= script.MAX_REQUESTS:
            reason = f"the script's on_message made more than {script.MAX_REQUESTS} requests"
            state.finish = Finish(Verdict("blocked", reason, code="script-error"))
            return
        model = self._model_call(state, "x", View(0, 0), context.text_tokens(str(request.arguments)) + 500, "script")
        wanted = script.ask_for(state, request, model, self._toolbox(state.spec.name, state.stage).tools)
        if isinstance(wanted, str):
            state.script_answers.append({"error": wanted})
        else:
            state.script_next = wanted

    def _script_ended(self, state: AgentState, value: Any, seq: int) -> None:
        if value is None:
            self._to_turn(state)
        else:
            parts = completion.value_parts(value)
            state.finish = Finish(Verdict("done", "the agent's script answered", (seq,)), parts)

    def _prepared(self, state: AgentState, command: Evaluate, values: dict[str, Any]) -> None:
        spec = self._spec(state)
        if command.function == "instructions":
            state.extra_instructions = str(values.get("result") or "")
            state.prepared = (*state.prepared, "instructions")
        elif command.function == "stage":
            self._enter(state, spec, str(values.get("result") or state.stage))
            state.prepared = (*state.prepared, "stage")
        else:
            state.prepared = (*state.prepared, "when")
            if values.get("when"):
                self._enter(state, spec, self._after(spec, state.stage))
        self._prepare(state)

    def _after(self, spec: AgentSpec, stage: str) -> str:
        found = self._stage(spec, stage)
        if found is not None and found.next:
            return found.next
        ids = [known.id for known in spec.stages]
        return ids[min(ids.index(stage) + 1, len(ids) - 1)] if stage in ids else stage

    def _enter(self, state: AgentState, spec: AgentSpec, stage: str) -> None:
        if stage != state.stage and self._stage(spec, stage) is not None:
            state.stage = stage
            state.stage_turns = 0

    # --- towards the next turn ------------------------------------------------------------------

    def _to_turn(self, state: AgentState) -> None:
        model = self._agent(state).model
        for turn in state.waiting:
            context.add(state, turn, model)
        state.waiting.clear()
        state.prepared = ()
        self._prepare(state)

    def _prepare(self, state: AgentState) -> None:
        """Ask the script and the stage's condition first, where there are any; then fit and call."""
        spec = self._spec(state)
        known = self._functions(spec.script)
        stage = self._stage(spec, state.stage)
        asks_stage = stage is not None and bool(stage.when) and state.stage_turns > 0
        wanted = [name for name in ("stage", "instructions") if name in known]
        wanted += ["when"] if asks_stage and "stage" not in known else []
        if any(name not in state.prepared for name in wanted):
            state.phase = "stage"
        else:
            self._fit(state)

    def _fit(self, state: AgentState) -> None:
        """Make the exchange fit the model's window, or end where it can't be made to."""
        model = self._agent(state).model
        room = context.room(model, self._fixed(state), self._spec(state).maxOutputTokens)
        state.phase = "turn"
        if context.measured(state) <= room:
            return
        context.shorten_old(state, model, room * 3 // 4)
        if context.measured(state) <= room:
            return
        if context.summary_cut(state) > state.base:
            state.phase = "summary"
        elif context.measured(state) > room and state.ratio >= 1.0:
            reason = (
                f"what is to be said takes about {context.measured(state):,} tokens and the model '{model.name}' has "
                f"room for {room:,}; use a model with a larger window or say it shorter"
            )
            state.finish = Finish(Verdict("blocked", reason, code="context-too-long"))
