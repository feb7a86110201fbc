"""Browsers sign in and out of a real host: by password, by link; what others try meanwhile doesn't work."""

import asyncio
import re
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from agenthost.core.access import DeedFilter
from agenthost.core.administration import NewPerson, PersonChange
from agenthost.core.api import Order
from agenthost.host.host import Host
from tests.faces.signin.browser import Browser, browsers, made_certificate
from tests.faces.signin.conftest import PASSWORD, TOML
from tests.host.conftest import PLAYS, Opens

Browsers = Callable[[], Browser]


async def me(browser: Browser) -> Any:
    seen = await browser.get("/api/v1/me", "same-origin")
    return seen.json["person"]["id"] if seen.status == 200 else seen.status


async def test_a_password_signs_a_browser_in_until_it_signs_out(browser: Browsers) -> None:
    ann = browser()
    page = await ann.get("/sign-in")
    assert page.status == 200 and 'name="password"' in page.text and "<script" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Frame-Options"] == "DENY"
    assert await me(ann) == 401

    done = await ann.sign_in("ann", PASSWORD)
    assert done.status == 303 and done.goes_to().endswith("/sign-in")
    cookie = done.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie
    assert await me(ann) == "ann"
    there = await ann.get("/sign-in", "same-origin")
    assert "As Ann &lt;Lee&gt;." in there.text

    assert (await ann.post("/sign-out", {"csrf": "wrong"})).status == 403
    assert await me(ann) == "ann"
    kept = ann.cookies()
    out = await ann.post("/sign-out", there.fields())
    assert out.status == 303
    assert await me(ann) == 401
    ann.put_cookies(kept)
    assert await me(ann) == 401  # the session itself has ended, not only the cookie


async def test_a_page_signs_in_with_json_and_goes_on_with_its_csrf_token(browser: Browsers) -> None:
    ann = browser()
    done = await ann.ask("POST", "/sign-in", json={"person": "ann", "password": PASSWORD})
    assert done.status == 200 and done.json["person"] == "ann"
    headers = {"X-CSRF-Token": done.json["csrf"]}
    assert (await ann.ask("POST", "/api/v1/tasks", json={"name": "echo", "text": "hi"}, headers=headers)).status == 201
    wrong = await ann.ask("POST", "/sign-in", json={"person": "ann", "password": "no"}, headers={"Accept": "*/*"})
    assert wrong.status == 401 and wrong.json["code"] == "unauthenticated"


@pytest.mark.parametrize("person", ["ann", "nobody", "owner", "", "' OR 1=1 --", "\u202e", "a" * 5000])
async def test_a_wrong_sign_in_says_the_same_whoever_it_was_for(browser: Browsers, person: str) -> None:
    wrong = await browser().sign_in(person, "a wrong password")
    assert wrong.status == 401
    assert "The name or the password is wrong." in wrong.text
    assert "Set-Cookie" not in wrong.headers


async def test_wrong_passwords_have_to_wait_also_the_right_one_then(browser: Browsers, host: Host) -> None:
    ann = browser()
    tried = [(await ann.sign_in("ann", f"wrong {n}")).status for n in range(7)]
    assert tried == [401] * 5 + [429] * 2
    late = await ann.sign_in("ann", PASSWORD)
    assert late.status == 429 and int(late.headers["Retry-After"]) > 200
    other = await ann.sign_in("owner", "whatever it is")
    assert other.status == 401  # somebody else isn't kept out by it
    failed = await host.audit(DeedFilter(what="session.begin", person="ann"))
    assert [deed.outcome for deed in failed] == ["unauthenticated"] * 5  # a flood doesn't fill the log


async def test_guesses_at_once_count_before_they_are_checked(browser: Browsers) -> None:
    ann = browser()
    async with asyncio.TaskGroup() as group:
        tries = [group.create_task(ann.sign_in("ann", f"wrong {n}")) for n in range(12)]
    assert sorted(each.result().status for each in tries) == [401] * 5 + [429] * 7


async def test_what_a_page_elsewhere_sends_is_refused_with_and_without_a_session(browser: Browsers) -> None:
    ann = browser()
    await ann.sign_in("ann", PASSWORD)
    headers = await ann.csrf()
    order = {"name": "echo", "text": "hi"}

    async def tried(site: str | None, **given: str) -> int:
        return (await ann.ask("POST", "/api/v1/tasks", site, json=order, headers=given)).status

    assert await tried("same-origin", **headers) == 201
    assert await tried("same-origin") == 403  # without the token
    assert await tried("same-origin", **{"X-CSRF-Token": "0" * 64}) == 403
    for site in ("cross-site", "same-site"):  # another port of this machine is the same site
        assert await tried(site, **headers) == 403
        assert (await ann.get("/api/v1/tasks", site)).status == 403
        assert (await ann.post("/sign-in", {"person": "ann", "password": PASSWORD}, site)).status == 403
    for origin in ("http://127.0.0.1:1", "https://evil.example", "null"):
        assert await tried(None, Origin=origin, **headers) == 403
    assert await tried(None, Origin="", **headers) == 403  # a browser says where it comes from
    assert await tried(None, **headers) == 201


async def test_a_session_comes_in_its_cookie_and_a_token_doesnt(browser: Browsers, host: Host) -> None:
    ann = browser()
    await ann.sign_in("ann", PASSWORD)
    ((name, secret),) = ann.cookies().items()
    key = (await host.admin().make_key(person="ann")).secret
    stranger = browser()
    assert (await stranger.get("/api/v1/me", headers={"Authorization": f"Bearer {secret}"})).status == 401
    assert (await stranger.get("/api/v1/me", headers={"Authorization": f"Bearer {key}"})).status == 200
    owner = (Path(host.settings.home) / "token").read_text().strip()
    for planted in (key, owner):
        stranger.put_cookies({name: planted})
        assert await me(stranger) == 401
    # Two cookies of one name: one was planted by somebody.
    assert (await browser().get("/api/v1/me", headers={"Cookie": f"{name}=x; {name}={secret}"})).status == 401


async def test_a_sign_in_has_a_new_session_and_ends_the_one_before(browser: Browsers, host: Host) -> None:
    ann = browser()
    await ann.sign_in("ann", PASSWORD)
    ((name, first),) = ann.cookies().items()
    await ann.sign_in("ann", PASSWORD)
    assert ann.cookies()[name] != first
    thief = browser()
    thief.put_cookies({name: first})
    assert await me(thief) == 401
    victim = browser()
    victim.put_cookies({name: "ah_planted-by-somebody-else-before-the-sign-in-00"})
    await victim.sign_in("ann", PASSWORD)
    assert victim.cookies()[name] != "ah_planted-by-somebody-else-before-the-sign-in-00"
    assert await me(victim) == "ann"


async def test_a_link_signs_in_once(browser: Browsers, host: Host) -> None:
    link = (await host.admin().sign_in_link("ann")).url
    seen = await browser().ask("HEAD", link)
    assert seen.status == 200  # who only looks doesn't use it up
    ahead = await browser().get(link, headers={"Sec-Purpose": "prefetch"})
    assert ahead.status == 200 and "Set-Cookie" not in ahead.headers
    ann = browser()
    assert (await ann.get(link)).status == 303
    assert await me(ann) == "ann"
    again = await browser().get(link)
    assert again.status == 401 and "used already" in again.text
    assert (await browser().get("/sign-in?code=ah_guessed")).status == 401


async def test_a_link_from_another_site_asks_first(browser: Browsers, host: Host) -> None:
    link = (await host.admin().sign_in_link("ann")).url
    ann = browser()
    asked = await ann.get(link, "cross-site")
    assert asked.status == 200 and "Go on only if you asked for it" in asked.text
    assert await me(ann) == 401
    assert (await ann.post("/sign-in", asked.fields())).status == 303
    assert await me(ann) == "ann"


async def test_links_of_somebody_who_was_disabled_or_has_a_new_password_dont_count(
    browser: Browsers, host: Host
) -> None:
    admin = host.admin()
    first = (await admin.sign_in_link("ann")).url
    await admin.set_password("ann", "another long password")
    second = (await admin.sign_in_link("ann")).url
    await admin.change_person("ann", PersonChange(disabled=True))
    await admin.change_person("ann", PersonChange(disabled=False))
    for link in (first, second):
        assert (await browser().get(link)).status == 401


@pytest.mark.parametrize(
    "goal", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/a b", "/\r\nX: 1"]
)
async def test_a_sign_in_goes_on_to_a_path_of_ours_and_nowhere_else(browser: Browsers, goal: str) -> None:
    assert (await browser().sign_in("ann", PASSWORD, goal=goal)).goes_to().endswith("/sign-in")


async def test_a_sign_in_goes_on_where_the_person_wanted_to(browser: Browsers) -> None:
    page = await browser().get("/sign-in?goal=/tasks/1%22%3E%3Cscript%3E")
    assert "<script>" not in page.text
    assert (await browser().sign_in("ann", PASSWORD, goal="/tasks/1?a=b")).goes_to().endswith("/tasks/1?a=b")


async def test_a_session_ends_when_nobody_comes_and_in_any_case(
    browser: Browsers, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = browser()
    await ann.sign_in("ann", PASSWORD)
    settings = host.entrance.settings
    (key,) = await host.accounts.keys("ann")
    clock = [key.created]
    monkeypatch.setattr("agenthost.host.reception.time.time", lambda: clock[0])
    while clock[0] < key.created + settings.session_most - settings.session_idle / 2:
        host.entrance.register.changed()  # what is remembered for seconds is forgotten
        assert await me(ann) == "ann"
        clock[0] += settings.session_idle * 0.9
    clock[0] = key.created + settings.session_most + 1
    assert await me(ann) == 401

    other = browser()
    clock[0] = key.created
    await other.sign_in("ann", PASSWORD)
    clock[0] += settings.session_idle + 60
    assert await me(other) == 401


async def test_sessions_are_listed_and_ended_like_keys(browser: Browsers, host: Host) -> None:
    first, second = browser(), browser()
    for each in (first, second):
        await each.sign_in("ann", PASSWORD)
    listed = (await first.get("/api/v1/keys", "same-origin")).json
    assert [each["session"] for each in listed] == [True, True]
    (mine,) = [each["id"] for each in listed if each.get("current")]
    (other,) = [each["id"] for each in listed if each["id"] != mine]
    ended = await first.ask("DELETE", f"/api/v1/keys/{other}", headers=await first.csrf())
    assert ended.status == 204
    assert (await me(first), await me(second)) == ("ann", 401)


async def test_a_new_password_ends_the_other_sessions_and_wants_the_old_one(browser: Browsers, host: Host) -> None:
    first, second = browser(), browser()
    for each in (first, second):
        await each.sign_in("ann", PASSWORD)

    async def change(old: str) -> int:
        body = {"password": "another long password", "old": old}
        seen = await first.ask("PUT", "/api/v1/people/ann/password", json=body, headers=await first.csrf())
        return seen.status

    assert await change("a guess") == 403
    assert await change(PASSWORD) == 204
    assert (await me(first), await me(second)) == ("ann", 401)
    assert (await browser().sign_in("ann", PASSWORD)).status == 401


async def test_who_is_disabled_loses_open_streams_and_tasks_within_seconds(browser: Browsers, host: Host) -> None:
    ann = browser()
    await ann.sign_in("ann", PASSWORD)
    made = await ann.ask("POST", "/api/v1/tasks", json={"name": "asker", "text": "ask me"}, headers=await ann.csrf())
    id = made.json["id"]
    async with (
        aiohttp.ClientSession(cookies=ann.cookies()) as session,
        session.get(f"{ann.url}/api/v1/tasks/{id}/events", headers={"Sec-Fetch-Site": "same-origin"}) as stream,
    ):
        assert stream.status == 200
        await stream.content.readline()
        await host.admin().change_person("ann", PersonChange(disabled=True))
        with pytest.raises(aiohttp.ClientError):
            async with asyncio.timeout(20):
                while await stream.content.readline():
                    pass
                raise aiohttp.ClientError("the stream has ended")
    async with aclosing(cast(Any, host.follow(id))) as items:
        async for _ in items:
            pass
    row = (await host.task(id)).row
    assert row.state == "canceled"
    assert await me(ann) == 401


@pytest.mark.parametrize("change", ["revoked", "role", "removed"])
async def test_a_stream_ends_when_what_it_was_let_in_by_is_changed(browser: Browsers, host: Host, change: str) -> None:
    admin = host.admin()
    await admin.add_person(NewPerson("otto", "operator"))
    made = await admin.make_key(person="otto")
    kept = await admin.make_key(person="ann")
    task = (await host.start(Order("asker", "ask me"))).id
    mine = (await host.start(Order("asker", "ask me", person="ann"))).id
    url = browser().url

    async def ended(key: str, task: str, within: float) -> bool:
        headers = {"Authorization": f"Bearer {key}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"{url}/api/v1/tasks/{task}/events") as stream,
        ):
            assert stream.status == 200
            open.release()
            try:
                async with asyncio.timeout(within):
                    while await stream.content.readline():
                        pass
            except TimeoutError:
                return False
            except aiohttp.ClientError:
                pass
            return True

    open = asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as group:
        his = group.create_task(ended(made.secret, task, 20))
        hers = group.create_task(ended(kept.secret, mine, 4))
        for _ in range(2):
            await open.acquire()
        if change == "revoked":
            await admin.revoke_key(made.key.id, "otto")
        elif change == "role":
            await admin.change_person("otto", PersonChange(role="user"))
        else:
            await admin.delete_person("otto")
    assert his.result()
    assert not hers.result()  # who wasn't changed goes on


async def test_no_secret_of_signing_in_is_in_the_log(
    browser: Browsers, host: Host, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    link = (await host.admin().sign_in_link("ann")).url
    ann = browser()
    await ann.get(link)
    await ann.get(link)
    await ann.sign_in("ann", "a wrong password of mine")
    await ann.sign_in("ann", PASSWORD)
    out, err = capfd.readouterr()
    told = out + err + caplog.text + repr(await host.audit(DeedFilter()))
    for secret in (*ann.cookies().values(), link.partition("code=")[2], PASSWORD, "a wrong password of mine"):
        assert secret not in told
    assert not re.search(r"ah_[\w-]{30}", told)


async def test_behind_a_proxy_that_speaks_tls_the_cookie_is_for_tls_alone(opens: Opens, tmp_path: Path) -> None:
    toml = TOML + '[http]\nproxies = ["127.0.0.1"]\nhosts = ["agents.example.org"]\n'
    host = await opens(PLAYS, toml=toml)
    await host.admin().add_person(NewPerson("ann", "user", "Ann", PASSWORD))
    async with browsers(host, tmp_path) as make:
        ann = make()
        behind = {
            "Host": "agents.example.org",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-For": "203.0.113.7",
            "Origin": "https://agents.example.org",
        }
        form = {"person": "ann", "password": PASSWORD}
        plain = await ann.post("/sign-in", form, headers=behind | {"Origin": "http://agents.example.org"})
        assert plain.status == 403
        done = await ann.post("/sign-in", form, headers=behind)
        assert done.status == 303
        cookie = done.headers["Set-Cookie"]
        assert cookie.startswith("__Host-agenthost-") and "; Secure" in cookie and "Path=/;" in cookie
        assert "Domain" not in cookie
        name, _, secret = cookie.partition(";")[0].partition("=")
        told = await ann.get("/api/v1/me", "same-origin", headers=behind | {"Cookie": f"{name}={secret}"})
        assert told.json["person"]["id"] == "ann"
        bare = name.removeprefix("__Host-")
        other = await ann.get("/api/v1/me", "same-origin", headers=behind | {"Cookie": f"{bare}={secret}"})
        assert other.status == 401  # a plain page of the same name can set that one
        (deed,) = await host.accounts.deeds(DeedFilter(what="session.begin"))
        assert deed.address == "203.0.113.7"


async def test_over_tls_the_cookie_is_for_tls_alone(opens: Opens, tmp_path: Path) -> None:
    certificate, key = await asyncio.to_thread(made_certificate, tmp_path)
    toml = TOML + f'[http]\ncertificate = "{certificate}"\nkey = "{key}"\n'
    host = await opens(PLAYS, toml=toml)
    async with browsers(host, tmp_path) as make:
        link = (await host.admin().sign_in_link()).url
        assert link.startswith("https://127.0.0.1:")
        done = await make().get(link, ssl=False)
        assert done.status == 303
        assert done.headers["Set-Cookie"].startswith("__Host-agenthost-")
        assert "; Secure" in done.headers["Set-Cookie"]
