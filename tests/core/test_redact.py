import base64
import json
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenthost.core.redact import Redactor

VALUE = 'sk-live "quoted" \\ ü/+=&'
FORMS = [
    VALUE,
    json.dumps(VALUE)[1:-1],
    json.dumps(VALUE, ensure_ascii=False)[1:-1],
    urllib.parse.quote(VALUE, safe=""),
    urllib.parse.quote_plus(VALUE),
    base64.b64encode(VALUE.encode()).decode(),
]


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_taken_out_in_every_form(form: str) -> None:
    redactor = Redactor({"KEY": VALUE})
    assert redactor.text(f"before {form} after {form}") == "before [secret KEY] after [secret KEY]"
    assert redactor.raw(f"before {form} after".encode()) == b"before [secret KEY] after"


@pytest.mark.parametrize("value", [VALUE, "hunter-2-hunter", "sesame"])
def test_what_is_decided_by_sizes_sees_the_same_size(value: str) -> None:
    told = json.dumps({"text": f"it is {value}, said ann"}, ensure_ascii=False).encode()
    clean = Redactor({"KEY": value}).alike(told)
    assert value not in (text := json.loads(clean)["text"])
    assert len(text.encode()) == len(f"it is {value}, said ann".encode())


def test_a_nested_value_is_redacted_in_keys_too_and_left_alone_itself() -> None:
    value = {"a": [f"x {VALUE}", 1, None, (VALUE, True)], VALUE: {"raw": VALUE.encode()}}
    assert Redactor({"KEY": VALUE}).value(value) == {
        "a": ["x [secret KEY]", 1, None, ("[secret KEY]", True)],
        "[secret KEY]": {"raw": b"[secret KEY]"},
    }
    assert VALUE in value


def test_the_longest_secret_is_the_one_that_is_named() -> None:
    redactor = Redactor({"SHORT": "password", "LONG": "password-and-more"})
    assert redactor.text("password-and-more password") == "[secret LONG] [secret SHORT]"


def test_without_secrets_and_for_short_ones_nothing_is_changed() -> None:
    value = {"a": ["text"]}
    assert Redactor({}).value(value) is value
    assert Redactor({"PIN": "1234"}).text("1234") == "1234"
    assert Redactor({}).raw(b"x") == b"x"


def test_it_never_shows_what_it_knows() -> None:
    assert VALUE not in repr(Redactor({"KEY": VALUE}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just(VALUE),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.just(VALUE), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON, st.booleans())
def test_redacted_json_is_json_and_the_same_as_the_redacted_value(value: object, ascii_only: bool) -> None:
    redactor = Redactor({"KEY": VALUE})
    raw = redactor.raw(json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"))
    redacted = json.loads(raw.decode("utf-8", "surrogatepass"))
    assert redacted == json.loads(json.dumps(redactor.value(value)))
    assert VALUE not in json.dumps(redacted, ensure_ascii=False)
