import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agenthost.manifests.load import load, validate, validate_body
from agenthost.manifests.read import MAX_BYTES, read

HEAD = "apiVersion: agenthost.dev/v1alpha1\nkind: Agent\nmetadata: {name: coder}\n"


def said(text: str) -> list[str]:
    """The problems of one file, as they are printed."""
    return [str(problem) for problem in load({"a.yaml": text})[1]]


def test_a_manifest_is_read() -> None:
    loaded, problems = load(
        {"a.yaml": HEAD + "spec: {sandbox: {memory: 1Gi, timeout: 1h30m}, budget: {tokens: 200k}}\n"}
    )
    assert problems == []
    spec = loaded[0].manifest.spec
    assert (spec.sandbox.memory, spec.sandbox.timeout, spec.budget.tokens) == (2**30, 5400.0, 200_000)
    assert loaded[0].id == ("Agent", "default", "coder")


def test_a_file_holds_several_documents() -> None:
    text = HEAD + "---\n" + HEAD.replace("coder", "other") + "---\n"
    loaded, problems = load({"a.yaml": text})
    assert problems == []
    assert [one.manifest.metadata.name for one in loaded] == ["coder", "other"]


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("  tols: [a]", "a.yaml:5:3: spec.tols: there is no such key here. Did you mean 'tools'?"),
        ("  tools: a", "a.yaml:5:10: spec.tools: expected a list, found 'a'"),
        ("  tools:\n    - a\n    - 5", "a.yaml:7:7: spec.tools[1]: expected text (put it in quotes), found the number 5"),
        ("  maxOutputTokens: true", "a.yaml:5:20: spec.maxOutputTokens: expected a whole number, found true or false"),
        ("  maxOutputTokens: 3", "a.yaml:5:20: spec.maxOutputTokens: must be at least 16, found the number 3"),
        ("  temperature: hot", "a.yaml:5:16: spec.temperature: expected a number, found 'hot'"),
        ("  model: ''", "a.yaml:5:10: spec.model: must not be empty"),
        ("  sandbox: {memory: 512Mb}", "a.yaml:5:21: spec.sandbox.memory: expected a size such as 512Mi or 1Gi, found '512Mb'"),
        ("  sandbox: {timeout: 1 hour}", "a.yaml:5:22: spec.sandbox.timeout: expected a duration such as 60s, 30m or 1h30m, found '1 hour'"),
        ("  sandbox: {memory: -1}", "a.yaml:5:21: spec.sandbox.memory: must be more than 0, found the number -1"),
        ("  budget: {cost: 2 EUR}", "a.yaml:5:18: spec.budget.cost: expected an amount such as 2.00 USD (the only currency so far), found '2 EUR'"),
        ("  budget: {turns: many}", "a.yaml:5:19: spec.budget.turns: expected a count such as 30 or 200k, found 'many'"),
        ("  budget: 5", "a.yaml:5:11: spec.budget: expected an object, found the number 5"),
        ("  completion: {rule: check}", "a.yaml:5:22: spec.completion.rule: expected one of quiet, agent, checks, supervisor, checks+supervisor, agent+checks, agent+supervisor, agent+checks+supervisor, found 'check'. Did you mean 'checks'?"),
        ("  plugins: [{name: a/b, vers: x}]", "a.yaml:5:25: spec.plugins[0].vers: there is no such key here. Did you mean 'version'?"),
        ("  sandbox: {network: granted, hosts: ['*']}", "a.yaml:5:39: spec.sandbox.hosts[0]: '*' would grant too much; name the hosts, or everything below one, as *.example.com, found '*'"),
        ("  sandbox: {network: granted, hosts: [10.0.0.0/8]}", "a.yaml:5:39: spec.sandbox.hosts[0]: '10.0.0.0/8' is more than a host; write its name alone, such as api.example.com, found '10.0.0.0/8'"),
        ("  sandbox: {network: granted}", "a.yaml:5:3: spec.sandbox.hosts: network: granted needs the hosts that may be reached, such as hosts: [api.example.com]"),
        ("  sandbox: {hosts: [a.example]}", "a.yaml:5:20: spec.sandbox.hosts: hosts are reached with network: granted alone; set that, or leave them out"),
        ("  completion: {rule: checks, checks: [{serve: a}]}", "a.yaml:5:39: spec.completion.checks[0]: 'serve' and 'probe' go together: the server, and what it must answer"),
        ("  completion: {rule: checks, checks: [{run: b, serve: a}]}", "a.yaml:5:39: spec.completion.checks[0]: a check has exactly one of run, serve, file, json, http, untouched, script; this one has run and serve"),
        ("  completion: {rule: checks, checks: [{serve: a, probe: {port: 1, path: x}}]}", "a.yaml:5:73: spec.completion.checks[0].probe.path: a path begins with / and has no blanks, such as /health, found 'x'"),
        ("  sandbox: {cpu: 0}", "a.yaml:5:18: spec.sandbox.cpu: must be at least 0.01, found the number 0"),
        ("  runtime: acp", "a.yaml:5:12: spec.runtime: expected one of loop, a2a, found 'acp'. Known: a2a, loop."),
        ("  completion:\n    checks:\n      - expect: {}", "a.yaml:7:9: spec.completion.checks[0]: a check has exactly one of run, serve, file, json, http, untouched, script; this one has none"),
        ("  completion:\n    checks:\n      - {run: a, expect: {exitCod: 1}}", "a.yaml:7:27: spec.completion.checks[0].expect.exitCod: there is no such key here. Did you mean 'exitCode'?"),
        ("  stages: [{id: A B}]", "a.yaml:5:17: spec.stages[0].id: expected a name of a-z, 0-9 and underscore, beginning with a letter, at most 40 characters, found 'A B'"),
        ("  description: " + "x" * 1025, "a.yaml:5:16: spec.description: must be at most 1024 characters long, found 1025"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_line_key_and_what_was_expected(spec: str, problem: str) -> None:
    assert said(HEAD + "spec:\n" + spec + "\n") == [problem]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "a.yaml:1:1: holds no manifest; it begins with apiVersion and kind"),
        ("just words", "a.yaml:1:1: expected a manifest (apiVersion, kind, metadata, spec), found text"),
        ("- a", "a.yaml:1:1: expected a manifest (apiVersion, kind, metadata, spec), found a list"),
        ("kind: Agent", "a.yaml:1:1: apiVersion is missing; add 'apiVersion: agenthost.dev/v1alpha1'"),
        ("apiVersion: v1\nkind: Pod", "a.yaml:1:13: apiVersion: expected agenthost.dev/v1alpha1, found 'v1'"),
        ("apiVersion: agenthost.dev/v1alpha1", "a.yaml:1:1: kind is missing; it is one of Agent, Workflow, Schedule"),
        (HEAD.replace("Agent", "agent"), "a.yaml:2:7: kind: there is no kind 'agent'. Did you mean 'Agent'?"),
        (HEAD.replace("Agent", "Workflw"), "a.yaml:2:7: kind: there is no kind 'Workflw'. Did you mean 'Workflow'?"),
        (HEAD.replace("coder", "My Coder"), "a.yaml:3:18: metadata.name: expected a name of a-z, 0-9 and hyphen, at most 63 characters, found 'My Coder'"),
        (HEAD.replace("{name: coder}", "{}"), "a.yaml:3:1: metadata: 'name' is missing: Unique for its kind: a-z, 0-9 and hyphen, at most 63 characters."),
        (HEAD + "---\n" + HEAD, "a.yaml:7:18: metadata.name: Agent 'coder' (namespace default) stands twice; the first is at a.yaml:3"),
        (HEAD + "spec:\n\ttools: []", "a.yaml:5:1: a tab can't indent YAML; use spaces"),
        (HEAD + "spec: {tools: [}", "a.yaml:4:16: expected the node content, but found '}'"),
        (HEAD + "spec: {model: a, model: b}", "a.yaml:4:18: spec.model: stands here twice; the first is in line 4"),
        (HEAD + "spec: {model: *x}", "a.yaml:4:15: found undefined alias 'x'; define it with & before it is used"),
        (HEAD + "spec: &x {output: *x}", "a.yaml:4:11: spec.output: an alias (*) stands inside what it names; write the value out"),
        (HEAD + "spec: {model: !!python/name:os.system x}", "a.yaml:4:15: spec.model: the tag !!python/name:os.system is not allowed; write a plain value"),
        (HEAD + "spec: {model: !secret x}", "a.yaml:4:15: spec.model: the tag !secret is not allowed; write a plain value"),
        (HEAD + 'spec: {model: "\\ud800"}', "a.yaml:4:15: spec.model: holds half a character (a lone surrogate); write the character itself"),
        (HEAD + "spec:\n  model: a: b", "a.yaml:5:11: a ':' can't stand here; check the indentation, or put the text in quotes"),
        (HEAD + "spec: {output: " + "[" * 70 + "]" * 70 + "}", None),
        (HEAD + "spec: \0", "a.yaml:1:1: is not YAML text: unacceptable character #x0000: special characters are not allowed in \"<unicode string>\", position 77"),
        (HEAD + "spec: " + "[" * 5000, "a.yaml:1:1: is nested too deeply; at most 60 levels"),
        (HEAD + "spec:\n    model: a\n  tools: []", "a.yaml:6:3: this line's indentation fits nothing above it; align it with its neighbours"),
        (HEAD + "spec:\n  model: a\n  tools", "a.yaml:6:8: expected a ':' after the key"),
        (HEAD + "? [a]\n: b", "a.yaml:4:3: a key must be a plain word"),
    ],
)  # fmt: skip
def test_a_file_that_can_t_be_read_says_where_and_why(text: str, problem: str | None) -> None:
    if problem is None:
        assert "is nested too deeply; at most 60 levels" in said(text)[0]
    else:
        assert said(text) == [problem]


def test_the_same_name_in_two_files_is_a_mistake_of_the_second() -> None:
    _, problems = load({"a.yaml": HEAD, "b.yaml": HEAD})
    assert [(problem.file, "the first is at a.yaml:3" in problem.message) for problem in problems] == [("b.yaml", True)]


def test_every_mistake_of_every_file_is_reported_in_order() -> None:
    files = {"b.yaml": "- a", "a.yaml": HEAD + "spec: {tols: [], modl: x, budget: {turns: -1}}"}
    problems = [str(problem) for problem in load(files)[1]]
    assert [line.split(":")[0:3] for line in problems] == [
        ["a.yaml", "4", "8"],
        ["a.yaml", "4", "18"],
        ["a.yaml", "4", "43"],
        ["b.yaml", "1", "1"],
    ]


def test_nothing_is_left_to_apply_where_one_document_is_wrong() -> None:
    manifests, problems = validate({"a.yaml": HEAD, "b.yaml": HEAD.replace("coder", "other") + "spec: {tols: []}"})
    assert manifests == []
    assert len(problems) == 1


def test_a_bomb_of_aliases_is_a_mistake() -> None:
    lines = ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    names = "abcdefghij"
    for above, name in zip(names, names[1:], strict=False):
        lines.append(f"{name}: &{name} [{', '.join(['*' + above] * 9)}]")
    documents, problems = read("a.yaml", "\n".join(lines))
    assert documents == []
    assert "expands to more than 20,000 values" in str(problems[0])


def test_anchors_and_aliases_work() -> None:
    loaded, problems = load({"a.yaml": HEAD + "spec: {tools: &t [workspace], stages: [{id: a, tools: *t}]}"})
    assert problems == []
    assert loaded[0].manifest.spec.stages[0].tools == ("workspace",)


def test_plain_words_mean_what_yaml_1_2_says() -> None:
    documents, _ = read("a", "[no, on, 12:30, 2026-11-21, 0o7, 1_000, ~, True, 1.5, -3, 1e3, .inf, 012, '5', 5, \"~\"]")
    assert documents[0].value == [
        *("no", "on", "12:30", "2026-11-21", "0o7", "1_000", None, True),
        *(1.5, -3, 1000.0, ".inf", 12, "5", 5, "~"),
    ]


def test_a_file_that_is_too_large_is_refused_before_it_is_read() -> None:
    _, problems = read("a.yaml", "#" * (MAX_BYTES + 1))
    assert str(problems[0]) == "a.yaml:1:1: is larger than 512 KB; split it into several files"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(alphabet="ab:-[]{}&*!|>'\"\n\t #%@`,0", max_size=60))
def test_any_text_gives_documents_or_problems_and_never_an_error(text: str) -> None:
    loaded, problems = load({"a.yaml": text})
    assert loaded == []
    assert problems
    assert all(problem.line >= 1 and problem.column >= 1 for problem in problems)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["tools", "stages", "sandbox", "budget", "output", "completion"]), _JSON))
def test_any_value_of_any_key_is_taken_or_named(spec: dict[str, object]) -> None:
    text = HEAD + "spec: " + json.dumps(spec)
    loaded, problems = load({"a.yaml": text})
    assert bool(loaded) != bool(problems)


@pytest.mark.parametrize(
    ("spec", "said_of_it"),
    [
        ("{completion: {checks: [{run: ''}]}}", "must not be empty"),
        (f"{{description: {'x' * 1025}}}", "must be at most 1024 characters long, found 1025"),
        ("{output: 3}", "found the number 3"),
        ("{stages: [{id: a, tols: []}]}", "tools"),
        ("{completion: {checks: [{run: a, expect: {exitcode: 1}}]}}", "exitCode"),
        ("{stages: [{id: a-b}]}", "underscore, beginning with a letter"),
        ("{temperature: 9}", "found the number 9"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_what_is_right(spec: str, said_of_it: str) -> None:
    text = f"apiVersion: agenthost.dev/v1alpha1\nkind: Agent\nmetadata: {{name: a}}\nspec: {spec}\n"
    assert any(said_of_it in line for line in said(text)), said(text)


def test_a_body_that_is_nested_too_deeply_is_a_mistake() -> None:
    value: Any = 1
    for _ in range(5000):
        value = [value]
    body = {
        "apiVersion": "agenthost.dev/v1alpha1",
        "kind": "Schedule",
        "metadata": {"name": "a"},
        "spec": {"run": value},
    }
    found, problems = validate_body(body)
    assert found is None and [problem.message for problem in problems] == ["is nested too deeply"]
