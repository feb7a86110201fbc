"""What every adapter of the port Secrets must do. Subclass it in a test module and give the fixture `secrets`."""

import pytest

from agenthost.core.errors import BadInput
from agenthost.core.ports import Secrets

VALUE = "hunter2-hunter2"


class SecretsSuite:
    """The conformance suite of Secrets."""

    @pytest.mark.parametrize("value", ["x", VALUE, 'a "quoted" \\ value\n', "schlüssel-🔑", "x" * 65_536])
    async def test_a_value_comes_back_as_it_was(self, secrets: Secrets, value: str) -> None:
        await secrets.set("API_KEY", value)
        assert await secrets.get("API_KEY") == value

    async def test_setting_again_replaces_and_leaves_others_alone(self, secrets: Secrets) -> None:
        await secrets.set("a", "first")
        await secrets.set("b", "other")
        await secrets.set("a", "second")
        assert (await secrets.get("a"), await secrets.get("b")) == ("second", "other")
        assert await secrets.names() == ["a", "b"]

    async def test_a_deleted_secret_is_gone(self, secrets: Secrets) -> None:
        await secrets.set("a", VALUE)
        assert await secrets.delete("a") is True
        assert await secrets.delete("a") is False
        assert await secrets.get("a") is None
        assert await secrets.names() == []

    async def test_an_unknown_name_has_no_value(self, secrets: Secrets) -> None:
        assert await secrets.get("unknown") is None

    @pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "a" * 129, "a\n"])
    async def test_a_name_of_other_characters_is_refused(self, secrets: Secrets, name: str) -> None:
        with pytest.raises(BadInput, match="can't name a secret"):
            await secrets.set(name, VALUE)

    @pytest.mark.parametrize("value", ["", "hunter2" * 10_000])
    async def test_a_value_that_cannot_be_kept_is_refused_without_telling_it(
        self, secrets: Secrets, value: str
    ) -> None:
        with pytest.raises(BadInput) as caught:
            await secrets.set("a", value)
        assert "hunter2" not in str(caught.value)

    async def test_the_object_never_shows_a_value(self, secrets: Secrets) -> None:
        await secrets.set("a", VALUE)
        assert VALUE not in repr(secrets)
