"""Signing in by an OpenID provider, a good one and hostile ones."""

import base64
import time
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from joserfc.jwk import OctKey
from msgspec.structs import replace

from agenthost.core.access import OWNER, DeedFilter, Person
from agenthost.core.errors import AgentHostError, BadInput, Forbidden, NotFound, Temporary, Unauthenticated
from agenthost.host.entry.entrance import Entrance
from agenthost.host.entry.oidc import Providers
from agenthost.host.entry.register import Register
from agenthost.host.entry.settings import AccessSettings, OidcSettings
from agenthost.stores.memory import MemoryStore
from agenthost.stores.memory_accounts import MemoryAccounts
from tests.host.entry.provider import CLIENT, SECRET, Provider, elliptic, provider

BACK = "http://127.0.0.1:8484/sign-in/oidc/work/callback"


class Desk:
    """A host's sign-in by one provider."""

    def __init__(self, there: Provider, **settings: Any) -> None:
        self.there = there
        self.accounts = MemoryAccounts(MemoryStore())
        self.entrance = Entrance(Register(self.accounts), AccessSettings())
        given = OidcSettings(there.url, CLIENT, "WORK_SECRET")
        self.settings = (
            replace(given, role="user", **settings) if "role" not in settings else replace(given, **settings)
        )
        self.providers = Providers({"work": self.settings}, self.entrance, self._secret)

    async def _secret(self, name: str) -> str | None:
        return SECRET if name == "WORK_SECRET" else None

    async def come(self, **back: str) -> Person:
        """Somebody signs in, from the first click to the last."""
        begun = await self.providers.begin("work", BACK, "/goal")
        brought = self.there.agree(begun.url) | back
        arrived = await self.providers.finish("work", brought, begun.cookie, "203.0.113.5")
        assert arrived.goal == "/goal"
        person = await self.entrance.alive(arrived.session.secret)
        assert person is not None
        return person

    async def nobody_was_let_in(self) -> bool:
        people = await self.accounts.people()
        return not people and not [deed for deed in await self.accounts.deeds(DeedFilter()) if deed.outcome == "done"]


@pytest.fixture
async def there() -> AsyncGenerator[Provider]:
    async with provider() as made:
        yield made


async def test_who_comes_for_the_first_time_is_added_and_known_again(there: Provider) -> None:
    desk = Desk(there)
    eve = await desk.come()
    assert (eve.id, eve.role, eve.name, eve.subject) == ("eve", "user", "Eve Adams", f"{there.url} 1234")
    assert (await desk.come()).id == "eve"
    assert [person.id for person in await desk.accounts.people()] == ["eve"]
    log = await desk.accounts.deeds(DeedFilter())
    assert [(deed.what, deed.outcome) for deed in log] == [("session.begin", "done")] * 2 + [("person.add", "done")]


async def test_a_sign_in_asks_as_it_must(there: Provider) -> None:
    desk = Desk(there)
    begun = await desk.providers.begin("work", BACK, "")
    asked = dict(parse_qsl(urlsplit(begun.url).query))
    assert asked["response_type"] == "code" and asked["code_challenge_method"] == "S256"
    assert asked["scope"].split() == ["openid", "email", "profile"]
    assert min(len(asked[name]) for name in ("state", "nonce", "code_challenge")) >= 43
    for secret in (asked["state"], asked["nonce"]):
        assert secret not in begun.cookie and secret.encode() not in base64.urlsafe_b64decode(begun.cookie)
    other = dict(parse_qsl(urlsplit((await desk.providers.begin("work", BACK, "")).url).query))
    assert not {asked[name] for name in ("state", "nonce", "code_challenge")} & set(other.values())
    await desk.come()
    (form,) = there.asked
    name, _, secret = base64.b64decode(form["Authorization"].partition(" ")[2]).decode().partition(":")
    assert (unquote(name), unquote(secret)) == (CLIENT, SECRET)  # RFC 6749, section 2.3.1
    assert "client_secret" not in form


async def test_a_provider_that_wants_the_secret_in_the_form_gets_it_there(there: Provider) -> None:
    there.published = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    await Desk(there).come()
    assert there.asked[0]["client_secret"] == SECRET and not there.asked[0]["Authorization"]


NOW = int(time.time())
LIES: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://evil.example"},
    "another audience": {"aud": "somebody else"},
    "other audiences": {"aud": ["somebody", "else"]},
    "an audience of several without a party": {"aud": [CLIENT, "else"]},
    "another party": {"aud": [CLIENT, "else"], "azp": "else"},
    "expired": {"exp": NOW - 3600},
    "no time at which it ends": {"exp": "tomorrow"},
    "an end that is true": {"exp": True},
    "issued long ago": {"iat": NOW - 7200},
    "issued tomorrow": {"iat": NOW + 86_400},
    "not valid yet": {"nbf": NOW + 3600},
    "another nonce": {"nonce": "of another sign-in"},
    "a nonce that is no text": {"nonce": 7},
    "an empty subject": {"sub": ""},
    "a subject that is a number": {"sub": 1234},
    "a subject of two words": {"sub": "1234 https://other.example 1"},
    "an endless subject": {"sub": "1" * 5000},
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_token_that_is_wrong_lets_nobody_in(there: Provider, lie: str) -> None:
    desk = Desk(there)
    there.claims = LIES[lie]
    with pytest.raises(Unauthenticated):
        await desk.come()
    assert await desk.nobody_was_let_in()


@pytest.mark.parametrize("missing", ["iss", "aud", "sub", "exp", "iat", "nonce"])
async def test_a_token_that_lacks_a_claim_lets_nobody_in(there: Provider, missing: str) -> None:
    desk = Desk(there)
    there.without = {missing}
    with pytest.raises(Unauthenticated):
        await desk.come()
    assert await desk.nobody_was_let_in()


FORGERIES = {
    "alg none": lambda there: there.unsigned,
    "alg None": lambda there: lambda claims: there.unsigned(claims, "None"),
    "no alg": lambda there: lambda claims: there.unsigned(claims, ""),
    "the public key as a shared secret": lambda there: there.with_public_key_as_secret,
    "a key of its own in its head": lambda there: there.with_own_key,
    "another key of the same name": lambda there: there.swapped,
    "a cut signature": lambda there: lambda claims: there.signed(claims)[:-20],
    "other claims under a good signature": lambda there: (
        lambda claims: there.unsigned(claims | {"sub": "root"}) + there.signed(claims).rpartition(".")[2]
    ),
    "no token": lambda there: lambda claims: "",
    "garbage": lambda there: lambda claims: "\x00.\u20ac.{}",
    "an algorithm that isn't allowed": lambda there: lambda claims: there.signed(claims, alg="RS512"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_token_that_is_forged_lets_nobody_in(there: Provider, forgery: str) -> None:
    desk = Desk(there)
    there.sign = FORGERIES[forgery](there)
    with pytest.raises(Unauthenticated):
        await desk.come()
    assert await desk.nobody_was_let_in()


async def test_a_shared_secret_among_the_published_keys_signs_nothing(there: Provider) -> None:
    secret = OctKey.generate_key(256, {"kid": "shared"})
    there.also = [secret.as_dict(private=True)]
    there.sign = lambda claims: there.signed(claims, secret, alg="HS256", kid="shared")
    with pytest.raises(Unauthenticated):
        await Desk(there).come()
    there.sign = there.signed
    await Desk(there).come()  # the others count all the same


async def test_keys_that_were_changed_are_looked_up_again_but_not_at_every_bad_token(
    there: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(there)
    monkeypatch.setattr("agenthost.host.entry.idp.AGAIN", 0.0)
    await desk.come()
    new = elliptic("two")
    there.keys = [there.key, new]
    there.sign = lambda claims: there.signed(claims, new, alg="ES256")
    assert (await desk.come()).id == "eve"
    assert there.looked == 2
    monkeypatch.setattr("agenthost.host.entry.idp.AGAIN", 3600.0)
    there.sign = there.swapped
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await desk.come()
    assert there.looked == 2


async def test_only_the_browser_that_began_a_sign_in_ends_it(there: Provider) -> None:
    desk = Desk(there)
    begun = await desk.providers.begin("work", BACK, "")
    other = await desk.providers.begin("work", BACK, "")
    brought = there.agree(begun.url)
    cookies = ["", "garbage", "\u20ac", other.cookie, begun.cookie[:-8], begun.cookie[::-1]]
    for cookie in cookies:
        with pytest.raises(Unauthenticated, match="begun in this browser"):
            await desk.providers.finish("work", brought, cookie, "::1")
    for lie in ({"state": ""}, {"state": "another"}):
        with pytest.raises(Unauthenticated, match="begun in this browser"):
            await desk.providers.finish("work", brought | lie, begun.cookie, "::1")
    strangers = Desk(there)
    with pytest.raises(Unauthenticated, match="begun in this browser"):
        await strangers.providers.finish("work", brought, begun.cookie, "::1")
    assert not there.asked  # no code was spent on any of it
    await desk.providers.finish("work", brought, begun.cookie, "::1")
    with pytest.raises(Unauthenticated, match="invalid_grant"):
        await desk.providers.finish("work", brought, begun.cookie, "::1")


async def test_a_code_of_another_sign_in_is_refused(there: Provider) -> None:
    desk = Desk(there)
    victim = await desk.providers.begin("work", BACK, "")
    attacker = there.agree((await desk.providers.begin("work", BACK, "")).url)
    brought = there.agree(victim.url) | {"code": attacker["code"]}
    with pytest.raises(Unauthenticated, match="invalid_grant"):  # PKCE: the verifier is the other's
        await desk.providers.finish("work", brought, victim.cookie, "::1")


async def test_a_sign_in_that_takes_too_long_is_refused(there: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agenthost.host.entry.oidc.LASTS", -1.0)
    with pytest.raises(Unauthenticated, match="took too long"):
        await Desk(there).come()


async def test_an_answer_of_another_provider_is_refused(there: Provider) -> None:
    with pytest.raises(Unauthenticated, match="another provider's"):
        await Desk(there).come(iss="https://evil.example")
    there.published = {"authorization_response_iss_parameter_supported": True}
    with pytest.raises(Unauthenticated, match="another provider's"):
        await Desk(there).come()
    assert (await Desk(there).come(iss=there.url)).id == "eve"


async def test_who_says_no_at_the_provider_isnt_signed_in(there: Provider) -> None:
    with pytest.raises(Unauthenticated, match=r"didn't sign you in \(access_denied\)"):
        await Desk(there).come(error="access_denied")
    with pytest.raises(Unauthenticated, match="didn't sign you in; begin again"):
        await Desk(there).come(error="<script>", code="")


@pytest.mark.parametrize(
    ("published", "kind"),
    [
        ({"issuer": "https://other.example"}, BadInput),
        ({"token_endpoint": "http://evil.example/token"}, BadInput),
        ({"jwks_uri": "file:///etc/passwd"}, BadInput),
        ({"authorization_endpoint": "javascript:alert(1)"}, BadInput),
        ({"token_endpoint": 7}, Unauthenticated),
        ({"padding": "x" * 2_000_000}, Unauthenticated),
    ],
)
async def test_a_description_that_cant_be_right_is_refused(
    there: Provider, published: dict[str, Any], kind: type[AgentHostError]
) -> None:
    there.published = published
    with pytest.raises(kind):
        await Desk(there).come()


async def test_a_provider_that_fails_or_is_gone_is_a_failure_that_may_pass(there: Provider) -> None:
    there.broken = 503
    with pytest.raises(Temporary, match="has a failure"):
        await Desk(there).come()
    desk = Desk(there)
    there.url = "http://127.0.0.1:9"
    gone = Desk(there)
    for _ in range(2):
        with pytest.raises(Temporary, match="can't be reached"):
            await gone.come()
    with pytest.raises(NotFound, match="no OpenID provider 'wrok'. Did you mean 'work'"):
        await desk.providers.begin("wrok", BACK, "")


async def test_without_a_role_only_who_was_added_comes_in(there: Provider) -> None:
    desk = Desk(there, role=None)
    with pytest.raises(Forbidden, match="add you with it"):
        await desk.come()
    await desk.accounts.put_person(Person("boss", "operator", 1.0, subject=f"{there.url} 1234"))
    boss = await desk.come()
    assert (boss.id, boss.role) == ("boss", "operator")


async def test_an_address_isnt_an_identity(there: Provider) -> None:
    desk = Desk(there)
    await desk.accounts.put_person(Person("eve", "owner", 1.0))
    there.claims = {"email": "eve@desk.example", "preferred_username": "eve"}
    stranger = await desk.come()
    assert (stranger.id, stranger.role) == ("eve-2", "user")
    there.claims = {"sub": "99", "preferred_username": OWNER}
    assert (await desk.come()).id == "owner-2"


@pytest.mark.parametrize(
    ("claims", "comes"),
    [
        ({}, True),
        ({"email": "eve@DESK.example"}, True),
        ({"email": "eve@evil.example"}, False),
        ({"email": "eve@desk.example.evil.example"}, False),
        ({"email": "eve@sub.desk.example"}, False),
        ({"email_verified": False}, False),
        ({"email_verified": "false"}, False),
        ({"email": None}, False),
        ({"email": ["eve@desk.example"]}, False),
    ],
)
async def test_only_verified_addresses_of_the_domains_come_in(
    there: Provider, claims: dict[str, Any], comes: bool
) -> None:
    desk = Desk(there, domains=("desk.example",))
    there.claims = claims
    if comes:
        await desk.come()
    else:
        with pytest.raises(Forbidden, match="verified e-mail address"):
            await desk.come()
        assert await desk.nobody_was_let_in()


async def test_groups_say_who_comes_in_and_as_what_and_the_highest_counts(there: Provider) -> None:
    desk = Desk(there, role=None, groups=("staff",), roles={"admins": "operator", "staff": "read-only"})
    assert (await desk.come()).role == "read-only"
    there.claims = {"groups": ["staff", "admins"]}
    assert (await desk.come()).role == "operator"
    there.claims = {"groups": ["staff"]}
    assert (await desk.come()).role == "read-only"  # taken from somebody there, it is taken here
    there.claims = {"groups": ["admins"]}
    with pytest.raises(Forbidden, match="in no group"):
        await desk.come()
    there.claims = {"groups": "staff"}
    with pytest.raises(Forbidden, match="in no group"):
        await desk.come()


async def test_who_lost_every_group_that_gives_a_role_is_let_in_no_more(there: Provider) -> None:
    desk = Desk(there, role=None, roles={"staff": "user"})
    assert (await desk.come()).role == "user"
    there.claims = {"groups": []}
    with pytest.raises(Forbidden):
        await desk.come()


async def test_groups_of_the_user_info_count_where_it_is_the_same_person(there: Provider) -> None:
    there.without = {"groups"}
    there.about = {"sub": "1234", "groups": ["admins"]}
    assert (await Desk(there, roles={"admins": "operator"}).come()).role == "operator"
    there.about = {"sub": "other", "groups": ["admins"]}
    assert (await Desk(there, roles={"admins": "operator"}).come()).role == "user"


async def test_who_is_disabled_or_was_removed_stays_out(there: Provider) -> None:
    desk = Desk(there)
    eve = await desk.come()
    await desk.accounts.put_person(replace(eve, disabled=True))
    with pytest.raises(Forbidden, match="may not use this host any more"):
        await desk.come()


async def test_the_owner_of_the_host_loses_no_role_by_a_group(there: Provider) -> None:
    desk = Desk(there, roles={"staff": "read-only"})
    await desk.accounts.put_person(Person(OWNER, "owner", 1.0, subject=f"{there.url} 1234"))
    assert (await desk.come()).role == "owner"


@pytest.mark.parametrize("algorithms", [("none",), ("RS256", "HS256"), ()])
def test_settings_that_would_believe_anybody_are_refused(algorithms: tuple[str, ...]) -> None:
    entrance = Entrance(Register(MemoryAccounts(MemoryStore())), AccessSettings())
    given = OidcSettings("https://id.example", CLIENT, algorithms=algorithms)

    async def none(name: str) -> None:
        return None

    with pytest.raises(BadInput, match="of public keys"):
        Providers({"work": given}, entrance, none)
    with pytest.raises(BadInput, match="can't be a provider's name"):
        Providers({"../x": replace(given, algorithms=("RS256",))}, entrance, none)
