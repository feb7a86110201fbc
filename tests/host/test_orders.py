"""From an order to a task."""

from typing import Any

import pytest

from agenthost.core.api import Order
from agenthost.core.errors import BadInput
from agenthost.core.manifests.workflow import InputSpec, Workflow
from agenthost.core.parts import FilePart
from agenthost.host.orders import read_input, workflow_inputs

PNG = FilePart("sha256:" + "1" * 64, "image/png", 3, "a.png")
PDF = FilePart("sha256:" + "2" * 64, "application/pdf", 3, "a.pdf")


def flow(**inputs: dict[str, Any]) -> Workflow:
    return Workflow.model_validate(
        {
            "apiVersion": "agenthost.dev/v1alpha1",
            "kind": "Workflow",
            "metadata": {"name": "w"},
            "spec": {"input": inputs, "steps": [{"id": "a", "command": "ls"}]},
        }
    )


@pytest.mark.parametrize(
    "kind, given, read",
    [
        ("string", "3", "3"),
        ("integer", "3", 3),
        ("integer", 3, 3),
        ("number", "2.5", 2.5),
        ("number", 2, 2),
        ("boolean", "true", True),
        ("object", '{"a": 1}', {"a": 1}),
        ("array", "[1]", [1]),
    ],
)
def test_a_word_of_a_command_line_is_read_as_what_the_input_wants(kind: Any, given: Any, read: Any) -> None:
    assert read_input("w", "x", InputSpec(type=kind), given) == read


@pytest.mark.parametrize(
    "kind, given, said",
    [
        ("string", 3, "must be text, not 3"),
        ("integer", "2.5", "must be a whole number, not 2.5"),
        ("integer", True, "must be a whole number, not True"),
        ("number", "true", "must be a number, not True"),
        ("boolean", "yes", "must be true or false, not 'yes'"),
        ("boolean", 1, "must be true or false, not 1"),
        ("object", "[1]", "must be a JSON object, not"),
        ("array", "nothing", "must be a JSON list, not 'nothing'"),
        ("file", "a.png", "is a file; give its path"),
        ("file", {"digest": 3}, "is a file; give its path"),
        ("file", None, "is a file; give its path"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(kind: Any, given: Any, said: str) -> None:
    with pytest.raises(BadInput, match="the input 'x' of 'w'") as caught:
        read_input("w", "x", InputSpec(type=kind), given)
    assert said in caught.value.message


def test_files_go_to_file_inputs_in_order_and_may_be_given_by_name() -> None:
    wanted = flow(a={"type": "file", "accept": ["image/*"]}, b={"type": "file", "required": False})
    values = workflow_inputs(wanted, Order("w", files=(PNG, PDF)))
    assert (values["a"]["name"], values["b"]["name"]) == ("a.png", "a.pdf")
    by_name = workflow_inputs(wanted, Order("w", inputs={"a": PNG}))
    assert by_name["a"]["digest"] == PNG.digest and "b" not in by_name
    with pytest.raises(BadInput, match=r"takes image/\*, and 'a.pdf' is application/pdf"):
        workflow_inputs(wanted, Order("w", files=(PDF,)))
    with pytest.raises(BadInput, match=r"no input for the file 'a.png': it takes 2 \(a, b\)"):
        workflow_inputs(wanted, Order("w", files=(PNG, PDF, PNG)))


def test_a_workflow_without_files_says_so() -> None:
    with pytest.raises(BadInput, match="no input for the file 'a.png': it takes none"):
        workflow_inputs(flow(), Order("w", files=(PNG,)))
    with pytest.raises(BadInput, match="has no input 'x'. It takes none."):
        workflow_inputs(flow(), Order("w", inputs={"x": 1}))


def test_the_text_fills_the_only_text_input() -> None:
    one = flow(what={"type": "string"}, language={"type": "string", "default": "python"})
    assert workflow_inputs(one, Order("w", "a clock")) == {"what": "a clock", "language": "python"}
    two = flow(what={"type": "string"}, how={"type": "string"})
    with pytest.raises(BadInput, match=r"needs the input 'what': give it with --input what=\.\.\."):
        workflow_inputs(two, Order("w", "a clock"))
