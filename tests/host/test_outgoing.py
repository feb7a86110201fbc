"""Where the host itself may send requests."""

import pytest

from agenthost.core.errors import Permanent, Temporary
from agenthost.host.outgoing import Outgoing, parts_of
from agenthost.sandboxes.egress.rules import Refused
from agenthost.sandboxes.egress.way import Way


@pytest.mark.parametrize(
    "url", ["", "nonsense", "ftp://example.com/", "http://", "https://user:word@example.com/", "http://[::1", "//x/y"]
)
def test_what_is_no_servers_url_is_refused(url: str) -> None:
    with pytest.raises(Permanent) as caught:
        parts_of(url)
    assert caught.value.code == "refused"


async def test_a_name_that_cant_be_looked_up_now_is_no_problem_for_ever() -> None:
    async def later(host: str, port: int) -> list[str]:
        raise Temporary("not now")

    async def never(host: str, port: int) -> list[str]:
        raise Permanent("not there", code="refused")

    assert await Outgoing(later).problem("https://example.com/") == ""
    assert await Outgoing(never).problem("https://example.com/") == "not there"
    with pytest.raises(Temporary):
        await Outgoing(later).post("https://example.com/", {}, b"", 1, 1.0)


async def test_only_public_addresses_and_those_that_are_named_may_be_reached() -> None:
    async def found(host: str, port: int) -> list[tuple[str, int]]:
        return [("10.0.0.7", port)] if host == "inside.lan" else [("93.184.216.34", port)]

    way = Way(["127.0.0.1:9000", "[::1]:9001", "localhost:9002", "inside.lan:443"], found)
    assert await way.addresses("127.0.0.1", 9000) == ["127.0.0.1"]
    assert await way.addresses("[::1]", 9001) == ["::1"]
    assert await way.addresses("inside.lan", 443) == ["10.0.0.7"]
    assert await way.addresses("example.com", 443) == ["93.184.216.34"]
    for host, port in (
        ("127.0.0.1", 9001),
        ("::1", 9000),
        ("inside.lan", 80),
        ("169.254.169.254", 80),
        ("0.0.0.0", 80),
    ):
        with pytest.raises(Refused, match="private"):
            await way.addresses(host, port)
    await way.close()
