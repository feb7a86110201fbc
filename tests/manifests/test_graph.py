import pytest

from agenthost.manifests.graph import find_cycle
from agenthost.manifests.load import load, validate

AGENTS = "\n---\n".join(
    f"apiVersion: agenthost.dev/v1alpha1\nkind: Agent\nmetadata: {{name: {name}}}" for name in ("reader", "coder")
)
HEAD = """\
apiVersion: agenthost.dev/v1alpha1
kind: Workflow
metadata: {name: w}
spec:
  input: {sketch: {type: file}, language: {default: python}}
  roles: {reader: {agent: reader}, coder: {agent: coder}}
"""
STEPS = """\
  steps:
    - {id: spec, role: reader, prompt: "{{ input.language }}", files: input.sketch}
    - {id: code, role: coder, needs: [spec], prompt: "{{ steps.spec.text }} {{ feedback }}"}
    - {id: run, needs: [code], command: python main.py, allowFailure: true}
    - {id: tests, needs: [spec], foreach: steps.spec.data.cases, command: "python t.py {{ item.name }} {{ index }}"}
    - {id: check, needs: [run, tests], role: coder, passes: result.data.ok, prompt: "{{ steps.tests.items[0].stdout }}",
       onFail: {goto: code, feedback: "{{ result.text }} {{ steps.run.stderr }}", max: 4}}
  output: {files: "{{ steps.code.files }}", text: "{{ steps.check.text }}"}
"""


def said(workflow: str, *others: str, tools: tuple[str, ...] | None = ("workspace", "search")) -> list[str]:
    """The problems of a workflow beside the agents `reader` and `coder`, as they are printed."""
    files = {"w.yaml": workflow, "agents.yaml": AGENTS, **{f"{n}.yaml": text for n, text in enumerate(others)}}
    return [str(problem) for problem in validate(files, tools=tools)[1]]


def steps(*lines: str) -> list[str]:
    """The problems of a workflow of these steps; the first is in line 8."""
    return said(HEAD + "  steps:\n" + "".join(f"    - {{{line}}}\n" for line in lines))


def test_a_workflow_that_can_run_has_no_problem() -> None:
    assert said(HEAD + STEPS) == []


ONE = "id: a, command: ls"


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["id: a, needs: [b], command: ls", "id: b, needs: [a], command: ls"], "w.yaml:8:22: spec.steps[0].needs: steps need each other in a circle (a -> b -> a); take one need out, and use onFail.goto to go back"),
        ([ONE, "id: b, needs: [c], command: ls", "id: c, command: ls"], "w.yaml:9:22: spec.steps[1].needs: steps need each other in a circle (b -> c -> b); take one need out, and use onFail.goto to go back"),
        ([ONE, "id: b, needs: [aa], command: ls"], "w.yaml:9:23: spec.steps[1].needs[0]: there is no step 'aa'. Did you mean 'a'?"),
        ([ONE, "id: b, needs: [a, a], command: ls"], "w.yaml:9:26: spec.steps[1].needs[1]: 'a' stands twice"),
        ([ONE, ONE], "w.yaml:9:12: spec.steps[1].id: the step 'a' stands twice; give one another id"),
        (["id: a"], "w.yaml:8:7: spec.steps[0]: a step has exactly one of role, command, serve, check, tool, workflow; 'a' has none"),
        (["id: a, command: ls, tool: search"], "w.yaml:8:7: spec.steps[0]: a step has exactly one of role, command, serve, check, tool, workflow; 'a' has command and tool"),
        (["id: a, role: codr, prompt: x"], "w.yaml:8:21: spec.steps[0].role: there is no role 'codr'. Did you mean 'coder'?"),
        (["id: a, role: coder"], "w.yaml:8:7: spec.steps[0]: the step 'a' has a role but no prompt; say what the role is to do"),
        (["id: a, command: ' '"], "w.yaml:8:24: spec.steps[0].command: must not be empty"),
        (["id: a, serve: ls"], "w.yaml:8:7: spec.steps[0]: the step 'a' serves but has no 'probe'; say what the server must answer"),
        (["id: a, command: ls, probe: {port: 80}"], "w.yaml:8:35: spec.steps[0].probe: is for steps with serve; this step has a command"),
        (["id: a, serve: ls, probe: {port: 80, body: '('}"], "w.yaml:8:50: spec.steps[0].probe.body: is not a regular expression: missing ), unterminated subpattern at position 0"),
        (["id: a, command: ls, prompt: x"], "w.yaml:8:36: spec.steps[0].prompt: is for steps with role; this step has a command"),
        (["id: a, tool: search, expect: {stdout: x}"], "w.yaml:8:37: spec.steps[0].expect: is for steps with command or serve; this step has a tool"),
        (["id: a, role: coder, prompt: x, with: {a: 1}"], "w.yaml:8:45: spec.steps[0].with: is for steps with tool or workflow; this step has a role"),
        (["id: a, tool: serch"], "w.yaml:8:21: spec.steps[0].tool: there is no tool 'serch'. Did you mean 'search'?"),
        (["id: a, workflow: wx"], "w.yaml:8:25: spec.steps[0].workflow: there is no workflow 'wx'. None is defined yet."),
        (["id: a, workflow: w, with: {sketch: x}"], "w.yaml:8:25: spec.steps[0].workflow: the workflow reaches itself (w -> w) and would never end"),
        ([ONE, "id: b, command: ls, onFail: {goto: c}"], "w.yaml:9:43: spec.steps[1].onFail.goto: there is no step 'c'. Known: a."),
        ([ONE, "id: b, command: ls, onFail: {goto: b}"], "w.yaml:9:43: spec.steps[1].onFail.goto: a step can't go back to itself; use 'retry' to try it again"),
        ([ONE, "id: b, needs: [], command: ls, onFail: {goto: a}"], "w.yaml:9:54: spec.steps[1].onFail.goto: 'a' doesn't come before 'b'; what comes before it: none: this step needs nothing"),
        ([ONE, "id: b, command: ls, onFail: {goto: a, max: 999}", "id: c, command: ls, onFail: {goto: a, max: 999}"], "w.yaml:10:51: spec.steps[2].onFail.max: loops inside each other could go round more than 10,000 times; lower a max"),
        ([ONE, "id: b, command: ls, onFail: {goto: a, max: 0}"], "w.yaml:9:51: spec.steps[1].onFail.max: must be at least 1, found the number 0"),
        (["id: a, command: ls, expect: {stdout: '('}"], "w.yaml:8:45: spec.steps[0].expect.stdout: is not a regular expression: missing ), unterminated subpattern at position 0"),
    ],
)  # fmt: skip
def test_steps_that_can_t_run_are_named(lines: list[str], problem: str) -> None:
    assert steps(*lines) == [problem]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (['id: a, command: "{{ input.lang }}"'], "w.yaml:8:28: spec.steps[0].command: there is no input 'lang'. Did you mean 'language'? (in 'input.lang')"),
        (['id: a, command: "ls {{ inpt.x }}"'], "w.yaml:8:31: spec.steps[0].command: there is no 'inpt' here. Did you mean 'input'? (in 'inpt.x')"),
        (['id: a, command: "ls {{ 1 + }}"'], "w.yaml:8:31: spec.steps[0].command: '1 +' can't be read: invalid syntax"),
        (['id: a, command: "ls {{ x"'], "w.yaml:8:28: spec.steps[0].command: '{{' is never closed; end it with '}}', or write {{ '{{' }} for braces"),
        (['id: a, command: "{{ item }}"'], "w.yaml:8:28: spec.steps[0].command: there is no 'item' here. 'item' is for steps with foreach, and not in their if, foreach and onFail. (in 'item')"),
        (['id: a, command: "{{ result.text }}"'], "w.yaml:8:28: spec.steps[0].command: there is no 'result' here. 'result' is for passes and onFail.feedback; elsewhere say steps.ID. (in 'result.text')"),
        (["id: a, command: ls, if: '{{ input.language }}'"], "w.yaml:8:32: spec.steps[0].if: an expression stands here without braces: input.language"),
        ([ONE, 'id: b, command: "{{ steps.aa.ok }}"'], "w.yaml:9:28: spec.steps[1].command: there is no step 'aa'. Did you mean 'a'? (in 'steps.aa.ok')"),
        ([ONE, 'id: b, needs: [], command: "{{ steps.a.ok }}"'], "w.yaml:9:39: spec.steps[1].command: the step 'a' doesn't come before 'b'; add it to its needs (in 'steps.a.ok')"),
        ([ONE, 'id: b, command: "{{ steps.b.ok }}"'], "w.yaml:9:28: spec.steps[1].command: the step 'b' can't see itself; say 'result' in passes and onFail.feedback (in 'steps.b.ok')"),
        ([ONE, 'id: b, command: "{{ steps.a.stdot }}"'], "w.yaml:9:28: spec.steps[1].command: the step 'a' has no 'stdot'. Did you mean 'stdout'? (in 'steps.a.stdot')"),
        ([ONE, 'id: b, command: "{{ steps.a.items }}"'], "w.yaml:9:28: spec.steps[1].command: the step 'a' has no 'items'. "),
        (["id: a, role: coder, prompt: x, passes: result.stdout"], "w.yaml:8:47: spec.steps[0].passes: the step 'a' is no command, so it has no stdout; it has "),
        (["id: a, command: ls, foreach: input.language", 'id: b, command: "{{ steps.a.stdout }}"'], "w.yaml:9:28: spec.steps[1].command: the step 'a' has foreach; say items[0].stdout, or go through its items (in 'steps.a.stdout')"),
        (["id: a, command: ls, foreach: item.x"], "w.yaml:8:37: spec.steps[0].foreach: there is no 'item' here. "),
        ([ONE, "id: b, foreach: '[1]', command: ls, onFail: {goto: a, feedback: '{{ item }}'}"], "w.yaml:9:76: spec.steps[1].onFail.feedback: there is no 'item' here. "),
        (["id: a, tool: search, with: {q: ['{{ inpt }}']}"], "w.yaml:8:44: spec.steps[0].with.q[0]: there is no 'inpt' here. Did you mean 'input'? (in 'inpt')"),
    ],
)  # fmt: skip
def test_a_template_that_names_nothing_is_named(lines: list[str], problem: str) -> None:
    (only,) = steps(*lines)
    assert only.startswith(problem)


@pytest.mark.parametrize(
    "lines",
    [
        ["id: a, command: ls, foreach: '[1]', passes: result.exit_code == 0 and item == index"],
        ["id: a, command: ls, foreach: '[1]'", "id: b, command: '{{ steps.a.items[0].stdout }}{{ steps.a.text }}'"],
        [ONE, "id: b, command: ls", "id: c, command: '{{ steps.a.stdout }} {{ attempt }} {{ task.text }}'"],
        [ONE, "id: b, command: \"{{ [s for s in steps.a.files if s] }} {{ '{{' }}\""],
        [ONE, "id: b, needs: [], command: ls", "id: c, needs: [a, b], if: len(steps) > 1, command: ls"],
        [ONE, "id: b, foreach: '[1]', command: ls, onFail: {goto: a, feedback: '{{ result.items }}'}"],
    ],
)
def test_templates_that_name_what_is_there_are_right(lines: list[str]) -> None:
    assert steps(*lines) == []


def test_a_place_in_a_block_of_text_is_its_own_line() -> None:
    text = HEAD + "  steps:\n    - id: a\n      role: coder\n      prompt: |\n        One\n          two {{ nope }}\n"
    assert said(text)[0].startswith("w.yaml:12:18: spec.steps[0].prompt: there is no 'nope' here.")


def test_a_role_of_an_agent_that_is_not_there_names_the_nearest() -> None:
    text = HEAD.replace("agent: coder", "agent: codr, replicas: 1, minReplicas: 2") + STEPS
    assert said(text) == [
        "w.yaml:6:51: spec.roles.coder.agent: there is no agent 'codr'. Did you mean 'coder'?",
        "w.yaml:6:83: spec.roles.coder.minReplicas: must be at most replicas (1), found 2",
    ]


def test_an_output_can_only_name_steps_that_are_there() -> None:
    problems = said(HEAD + STEPS.replace("steps.code.files", "steps.cod.files"))
    assert problems == [
        "w.yaml:14:23: spec.output.files: there is no step 'cod'. Did you mean 'code'? (in 'steps.cod.files')"
    ]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("{type: integer, default: x}", "expected a default of type integer"),
        ("{type: integer, default: true}", "expected a default of type integer"),
        ("{type: file, default: x}", "expected no default: a file must be given"),
        ("{accept: [image/png]}", "is for files, and the type is 'string'"),
    ],
)
def test_an_input_that_contradicts_itself_is_named(spec: str, message: str) -> None:
    (problem,) = said(HEAD.replace("{default: python}", spec) + "  steps: [{id: a, command: ls}]\n")
    assert problem.endswith(message)


def test_an_input_must_have_a_name_that_expressions_can_say() -> None:
    (problem,) = said(HEAD.replace("language:", "my-language:") + "  steps: [{id: a, command: ls}]\n")
    assert "so that expressions can say input.NAME" in problem


def test_a_workflow_must_be_given_its_inputs_and_no_others() -> None:
    inner = HEAD.replace("name: w}", "name: inner}") + "  steps: [{id: a, command: ls}]\n"
    text = HEAD + "  steps: [{id: a, workflow: inner, with: {langage: x}}]\n"
    assert said(text, inner) == [
        "w.yaml:7:11: spec.steps[0]: the workflow 'inner' must be given its input 'sketch' under 'with'",
        "w.yaml:7:52: spec.steps[0].with.langage: the workflow 'inner' has no input 'langage'. Did you mean 'language'?",
    ]


def test_workflows_that_reach_each_other_in_a_circle_are_refused() -> None:
    def calls(name: str, other: str) -> str:
        head = HEAD.replace("name: w}", f"name: {name}}}").replace("sketch: {type: file}, ", "")
        return head + f"  steps: [{{id: a, workflow: {other}}}]\n"

    problems = said(calls("w", "b"), calls("b", "c"), calls("c", "w"))
    assert problems[0].endswith("the workflow reaches itself (b -> c -> w -> b) and would never end")
    assert len(problems) == 3


def test_agents_see_only_their_own_namespace() -> None:
    text = (HEAD + STEPS).replace("{name: w}", "{name: w, namespace: other}")
    assert "there is no agent 'reader'. None is defined yet." in said(text)[0]


def test_what_exists_already_is_seen_and_replaced_by_what_is_new() -> None:
    existing = [one.manifest for one in load({"a.yaml": AGENTS})[0]]
    manifests, problems = validate({"w.yaml": HEAD + STEPS}, existing)
    assert problems == []
    assert [manifest.metadata.name for manifest in manifests] == ["w"]


AGENT = "apiVersion: agenthost.dev/v1alpha1\nkind: Agent\nmetadata: {name: a}\nspec:\n"


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("  tools: [workspce]", "5:11: spec.tools[0]: there is no tool 'workspce'. Did you mean 'workspace'?"),
        ("  tools: [delegate:codr]", "5:11: spec.tools[0]: there is no agent 'codr'. Did you mean 'coder'?"),
        ("  stages: [{id: x, next: z}, {id: y}]", "5:26: spec.stages[0].next: there is no stage 'z'. Known: x, y."),
        ("  stages: [{id: x}, {id: x}]", "5:26: spec.stages[1].id: the stage 'x' stands twice; give one another id"),
        ("  stages: [{id: x, tools: [serch]}]", "5:28: spec.stages[0].tools[0]: there is no tool 'serch'. Did you mean 'search'?"),
        ("  stages: [{id: x, when: turn > 3}]", "5:26: spec.stages[0].when: there is no 'turn' here. Did you mean 'turns'? (in 'turn > 3')"),
        ("  plugins: [{name: a/b}]", "5:12: spec.plugins: plugins can't be installed in this version; leave 'plugins' out"),
        ("  completion: {rule: checks}", "5:15: spec.completion: the rule checks needs at least one entry in 'checks'"),
        ("  completion: {checks: [{run: ls}]}", "5:24: spec.completion.checks: checks are only run under 'rule: checks', and the rule is 'quiet'"),
        ("  completion: {rule: checks, checks: [{run: ls, expect: {stderr: '['}}]}", "5:66: spec.completion.checks[0].expect.stderr: is not a regular expression: unterminated character set at position 0"),
        ("  output: {type: objekt}", "5:18: spec.output.type: is not JSON Schema: 'objekt' is not valid under any of the given schemas"),
        ("  script: |\n    import re\n    def on_message(message):\n      yield 1", "8:7: spec.script: the script can't be read: line 3, column 3: generators (yield) are not part of the script language; build a list and return it"),
        ("  script: |\n    def on_mesage(message): pass", "5:11: spec.script: the script defines none of instructions(task), stage(task), on_message(message). Did you mean 'on_message'?"),
        ("  script: |\n    def stage(): pass", "5:11: spec.script: expected 'def stage(task)', found 'stage()'"),
        ("  script: |\n    def stage(task): pass\n    def log(x): pass", "5:11: spec.script: 'log' is a function of the host; give the script's own another name"),
    ],
)  # fmt: skip
def test_an_agent_that_can_t_run_is_named(spec: str, problem: str) -> None:
    assert said(AGENT + spec + "\n") == [f"w.yaml:{problem}"]


def test_agents_may_delegate_in_a_circle() -> None:
    assert said(AGENT + "  tools: [delegate:a, delegate:coder, workspace]") == []


def test_tools_that_are_not_known_here_are_not_checked() -> None:
    assert said(AGENT + "  tools: [whatever]", tools=None) == []


def test_a_cycle_is_found_wherever_it_is() -> None:
    assert find_cycle({"a": ["b"], "b": ["c"], "c": []}) == []
    assert find_cycle({"a": ["a"]}) == ["a", "a"]
    assert find_cycle({"a": ["b", "c"], "b": [], "c": ["d"], "d": ["c"]}) == ["c", "d", "c"]
    assert find_cycle({"a": ["nowhere"]}) == []
    long = {str(n): [str(n + 1)] for n in range(5000)} | {"5000": ["0"]}
    assert len(find_cycle(long)) == 5002
