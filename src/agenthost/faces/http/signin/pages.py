"""The HTML. Everything that comes from elsewhere is escaped."""

import base64
import hashlib
from collections.abc import Mapping
from html import escape
from urllib.parse import quote

from starlette.responses import HTMLResponse

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --paper: #fff; --ground: #f3f5f7; --line: #d1d9e0;
  --strong: #1f5fbf; --on-strong: #fff; --wrong: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaef; --soft: #9aa5b1; --paper: #171b21; --ground: #0e1116;
  --line: #333b45; --strong: #5b9bff; --on-strong: #08142a; --wrong: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; padding: 1rem; }
main { width: 100%; max-width: 24rem; background: var(--paper); border: 1px solid var(--line); border-radius: 12px;
  padding: 2rem; box-shadow: 0 8px 30px rgb(0 0 0 / .06); }
h1 { font-size: 1.4rem; margin: 0 0 .25rem; letter-spacing: -.01em; }
p { margin: 0 0 1.25rem; color: var(--soft); overflow-wrap: anywhere; }
p.wrong { color: var(--wrong); border-left: 3px solid var(--wrong); padding-left: .75rem; }
label { display: block; font-size: .875rem; font-weight: 600; margin: 0 0 .25rem; }
input { width: 100%; font: inherit; color: inherit; background: var(--ground); border: 1px solid var(--line);
  border-radius: 8px; padding: .6rem .75rem; margin: 0 0 1rem; }
button, a.button { display: block; width: 100%; text-align: center; font: inherit; font-weight: 600; cursor: pointer;
  border-radius: 8px; padding: .65rem 1rem; border: 1px solid var(--strong); background: var(--strong);
  color: var(--on-strong); text-decoration: none; margin: 0 0 .75rem; }
a.button, button.quiet { background: transparent; color: var(--strong); }
:focus-visible { outline: 3px solid var(--strong); outline-offset: 2px; }
hr { border: 0; border-top: 1px solid var(--line); margin: 1.25rem 0; }
code { font: .875em ui-monospace, monospace; }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def ask(goal: str, titles: Mapping[str, str], wrong: str = "", person: str = "", status: int = 200) -> HTMLResponse:
    """The page that asks who somebody is. `titles`: OpenID providers by name."""
    field = f'<input type="hidden" name="goal" value="{escape(goal)}">' if goal else ""
    after = f"?goal={escape(_quoted(goal))}" if goal else ""
    ways = "".join(
        f'<a class="button" href="/sign-in/oidc/{escape(name)}{after}">Continue with {escape(title)}</a>'
        for name, title in titles.items()
    )
    body = f"""{_wrong(wrong)}
<form method="post" action="/sign-in">{field}
<label for="person">Name</label>
<input id="person" name="person" value="{escape(person)}" autocomplete="username" autocapitalize="none" spellcheck="false" required maxlength="64" autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required maxlength="1024">
<button>Sign in</button>
</form>
{"<hr>" + ways if ways else ""}
<p>No password? At the host's own machine, <code>agenthost people link</code> prints a link that signs this browser in.</p>"""
    return _page("Sign in", "To AgentHost.", body, status)


def confirm(code: str) -> HTMLResponse:
    """Asks whether a link is meant that another site led to."""
    body = f"""<form method="post" action="/sign-in"><input type="hidden" name="code" value="{escape(code)}">
<button>Sign in</button></form>"""
    return _page("Sign in", "You followed a link that signs this browser in. Go on only if you asked for it.", body)


def done(name: str, csrf: str) -> HTMLResponse:
    """For somebody who is signed in."""
    body = f"""<form method="post" action="/sign-out"><input type="hidden" name="csrf" value="{escape(csrf)}">
<button class="quiet">Sign out</button></form>"""
    return _page("You are signed in", f"As {escape(name)}.", body)


def onward(goal: str) -> HTMLResponse:
    """Goes on to a page of ours by itself: a cookie that no other site may send isn't sent where another site led here."""
    head = f'<meta http-equiv="refresh" content="0;url={escape(goal)}">'
    return _page("Signed in", "One moment.", f'<a class="button" href="{escape(goal)}">Go on</a>', 200, head)


def refused(message: str, status: int) -> HTMLResponse:
    """That it can't be done, and why."""
    return _page("Not signed in", "", f'{_wrong(message)}<a class="button" href="/sign-in">Back</a>', status)


def _wrong(message: str) -> str:
    return f'<p class="wrong" role="alert">{escape(message[:1].upper() + message[1:])}.</p>' if message else ""


def _quoted(goal: str) -> str:
    return quote(goal, safe="/")


def _page(title: str, lead: str, body: str, status: int = 200, head: str = "") -> HTMLResponse:
    text = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">{head}<title>{escape(title)} · AgentHost</title><style>{_STYLE}</style></head>
<body><main><h1>{escape(title)}</h1>{f"<p>{lead}</p>" if lead else ""}{body}</main></body></html>
"""
    return HTMLResponse(text, status, _HEADERS)
