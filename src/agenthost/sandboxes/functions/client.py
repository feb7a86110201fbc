"""The port `core.ports.Sandbox` by an executor function of ours at Google."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from agenthost.core.errors import BadInput, Permanent, Temporary, Unavailable
from agenthost.core.ports import SandboxService, silent
from agenthost.core.sandboxes import MIB, Availability, Isolation, SandboxOutcome, SandboxPolicy, SandboxRun
from agenthost.sandboxes.checks import check_run, place
from agenthost.sandboxes.functions import folder
from agenthost.sandboxes.functions.frames import Answer, Hello, Refused, Request, read, write
from agenthost.sandboxes.functions.identity import Identity, Signer
from agenthost.sandboxes.functions.settings import FunctionsSettings, Post

VERSION = 1
MOST = 32 * 1000 * 1000
"""Bytes of a request and of an answer: https://cloud.google.com/functions/quotas, 32 MB of each (2nd gen)."""

_HEAD = 4 * 1000 * 1000
"""Bytes that are left for the head of a request, and whatever comes with it."""
_OWN_MEMORY = 128 * MIB
"""What the function itself needs. Its files lie in its memory, too."""
_START_SECONDS = 60.0
_BUSY = "busy"
_WAITS = (1.0, 2.0, 4.0, 8.0, 15.0)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Functions:
    """Runs are sent to `settings.url`. Workspaces lie under `workspaces`; `secret` looks a secret's value up by its name,
    `post` and `get` are the way out."""

    def __init__(
        self,
        settings: FunctionsSettings,
        workspaces: Path,
        secret: Callable[[str], Awaitable[str | None]],
        post: Post,
        get: Post,
    ) -> None:
        self._settings = settings
        self._workspaces = workspaces
        self._secret = secret
        self._post = post
        self._identity = Identity(settings, get)
        self._turns = asyncio.Semaphore(settings.concurrency)

    @property
    def name(self) -> str:
        return "functions"

    @property
    def isolation(self) -> Isolation:
        return "kernel"

    async def available(self) -> Availability:
        """Calls the function (which may start it, and cost a fraction of a cent); nothing is run."""
        if not self._settings.url:
            return Availability(False, "no function is set", "deploy deploy/functions, and set [sandbox.functions] url")
        try:
            hello, _ = read(await self._call(write({"hello": True}, []), _START_SECONDS), Hello)
        except (Unavailable, Temporary, Permanent) as error:
            return Availability(False, error.message, "see deploy/functions/README.md")
        if hello.version != VERSION:
            return Availability(
                False, f"the function has version {hello.version}, not {VERSION}", "deploy deploy/functions again"
            )
        return Availability(True, f"functions, Python {hello.python} at {urlsplit(self._settings.url).hostname}")

    async def prepare(self, policy: SandboxPolicy, tell: Callable[[str], None]) -> None:
        """Nothing can be installed there: raises Unavailable for packages that its image doesn't have."""
        self._check_packages(policy)

    async def run(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxOutcome:
        """Send, run, take back. Raises BadInput (a request that can't be run, or too much to send), Unavailable (beyond
        what the function has), Temporary and Permanent (`bad-answer`, `answer-too-large`).

        Cancelled, nothing is written back; what runs there ends by its timeout at the latest."""
        self._check(run)
        root = await asyncio.to_thread(place, self._workspaces, run.workspace)
        packed = await asyncio.to_thread(folder.Packed, root, MOST - _HEAD - len(run.stdin))
        body = await asyncio.to_thread(write, _request(run, packed), [run.stdin, *packed.contents])
        if len(body) > MOST:
            raise BadInput(f"This run is {len(body)} bytes to send, and the function takes {MOST}. Send fewer files.")
        if self._turns.locked():
            tell(f"waits for one of the function's {self._settings.concurrency} instances")
        async with self._turns:
            reply = await self._patiently(body, run.policy.timeout + _START_SECONDS, tell)
        answer, content = await asyncio.to_thread(read, reply, Answer)
        outcome, changed = await asyncio.to_thread(folder.check, answer, content, packed, run.policy.output)
        writing = asyncio.get_running_loop().run_in_executor(None, folder.apply, root, answer, changed, packed)
        try:
            await asyncio.shield(writing)
        finally:
            # A thread can't be stopped: cancelled, it is waited for, so that whoever restores the folder comes after it.
            while not writing.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([writing])
        return outcome

    async def spawn(self, run: SandboxRun, tell: Callable[[str], None] = silent) -> SandboxService:
        """Raises Unavailable: nobody reaches what listens inside a function."""
        raise Unavailable(
            "The sandbox functions can't serve ports: a function ends with its answer. Demand another sandbox for services."
        )

    async def release(self, workspace: str) -> None:
        """Nothing is kept for a workspace."""

    async def close(self) -> None:
        """Nothing is kept."""

    # --- the way there and back -------------------------------------------------------------------

    async def _patiently(self, body: bytes, seconds: float, tell: Callable[[str], None]) -> bytes:
        """Call again where Google had no instance for it: then nothing was run."""
        for wait in _WAITS:
            try:
                return await self._call(body, seconds)
            except Temporary as error:
                if error.code != _BUSY:
                    raise
                tell(f"the function has no instance free; again in {wait:g} s")
                await asyncio.sleep(wait)
        return await self._call(body, seconds)

    async def _call(self, body: bytes, seconds: float) -> bytes:
        url = self._url()
        secret = await self._secret(self._settings.secret)
        if not secret or len(secret) < 16:
            raise Unavailable(
                f"The sandbox functions needs a shared secret of at least 16 characters. Set it on the function, and "
                f"here: agenthost secrets set {self._settings.secret}."
            )
        signer = Signer(secret)
        headers = {
            "Content-Type": "application/octet-stream",
            **signer.headers(body),
            **await self._identity.header(),
        }
        status, got, reply = await self._post(url, headers, body, MOST, seconds)
        if status == 200:
            if not signer.right(reply, got.get("x-agenthost-signature", "")):
                raise Permanent(
                    "What answered at [sandbox.functions] url doesn't have the shared secret, or not to this request. "
                    "Nothing of it was kept. Look at the address.",
                    code="bad-answer",
                )
            return reply
        raise _refusal(status, reply)

    def _url(self) -> str:
        url = self._settings.url
        parts = urlsplit(url)
        near = parts.hostname in _LOOPBACK
        if parts.scheme != "https" and not (parts.scheme == "http" and near):
            raise Unavailable(f"[sandbox.functions] url is '{url}'. Give the https:// address of your function.")
        if self._settings.identity == "none" and not near:
            raise Unavailable('[sandbox.functions] identity = "none" is for a function on this machine only.')
        return url

    # --- checks -----------------------------------------------------------------------------------

    def _check(self, run: SandboxRun) -> None:
        policy, settings = run.policy, self._settings
        check_run(run)
        if policy.hosts:
            raise Unavailable(
                "The sandbox functions can't grant a network. Set network: none, or demand another sandbox."
            )
        if policy.image:
            raise Unavailable("The sandbox functions has no images. Leave image out, or demand another sandbox.")
        needed = policy.memory + policy.disk + _OWN_MEMORY
        if needed > settings.memory * MIB:
            raise Unavailable(
                f"This may use {policy.memory // MIB} MiB of memory and {policy.disk // MIB} MiB of disk, which at Google "
                f"is memory too: with its own {_OWN_MEMORY // MIB} MiB the function needs {-(-needed // MIB)} MiB, and it "
                f"has {settings.memory}. Ask for less, or deploy it with more and set [sandbox.functions] memory."
            )
        if policy.timeout > settings.timeout:
            raise Unavailable(
                f"This may take {policy.timeout:g} s, and the function {settings.timeout:g}. Ask for less, or deploy it with "
                "more (at most 3600) and set [sandbox.functions] timeout."
            )
        self._check_packages(policy)

    def _check_packages(self, policy: SandboxPolicy) -> None:
        missing = [package for package in policy.packages if package not in self._settings.packages]
        for package in missing:
            if not package or package.startswith(("-", ".", "/")) or any(letter in package for letter in " @:"):
                raise BadInput(f"'{package}' is no requirement of a package. Give one such as numpy or numpy>=2.")
        if missing:
            raise Unavailable(
                f"The function doesn't have {', '.join(missing)}. Add it to deploy/functions/requirements.txt, deploy it, "
                "and add it to [sandbox.functions] packages."
            )


def _request(run: SandboxRun, packed: folder.Packed) -> Request:
    policy = run.policy
    limits = {
        "memory": policy.memory,
        "cpu": policy.cpu,
        "timeout": policy.timeout,
        "processes": policy.processes,
        "disk": policy.disk,
        "output": policy.output,
    }
    files, folders = tuple(packed.files), tuple(packed.folders)
    return Request(run.argv, run.env, run.cwd, limits, len(run.stdin), folders, files)


def _refusal(status: int, reply: bytes) -> Exception:
    """What a status other than 200 means."""
    try:
        told = read(reply, Refused)[0]
    except Permanent:
        told = None
    if told is not None and status in (400, 413):
        return Permanent(f"The function refused the run: {told.message}.", code=told.error)
    if told is not None and (status in (403, 405) or told.error in ("no-secret", "runner")):
        return Unavailable(f"The function can't be used: {told.message}. See deploy/functions/README.md.")
    if status in (401, 403):
        return Unavailable(
            "Google refused the call: this account may not invoke the function. Give it the role roles/run.invoker, and "
            "look at [sandbox.functions] identity."
        )
    if status == 404:
        return Unavailable("There is no function at [sandbox.functions] url. Look at the address that gcloud printed.")
    if status == 413:
        return Permanent("The request was too large for Google. Send fewer files.", code="too-large")
    if status == 429:
        return Temporary("The function has no instance free. Deploy it with more, or try later.", code=_BUSY)
    said = f" ({told.message})" if told else ""
    return Temporary(f"The function answered with status {status}{said}.", code="sandbox", sent=True)
