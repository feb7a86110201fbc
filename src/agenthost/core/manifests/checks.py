"""Checks: what the host looks at itself before work counts as done."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from agenthost.core.checks import FileLook, FilesLook, HttpLook, JsonLook, Look, ReportLook
from agenthost.core.manifests.common import Duration, Expect, Part, ProbeSpec


def read_inside(value: str) -> str:
    """The path of a file in the workspace, as it was written, once it can be one."""
    pieces = value.split("/")
    if value.startswith("/") or any(piece in ("", ".", "..") for piece in pieces) or "\\" in value or "\0" in value:
        raise ValueError("expected a path relative to the workspace, such as out/report.csv")
    return value


def read_sha256(value: str) -> str:
    """A content hash, with or without the word before it."""
    plain = value.removeprefix("sha256:").lower()
    if value and not re.fullmatch(r"[0-9a-f]{64}", plain):
        raise ValueError("expected 64 hex digits, as `sha256sum` prints them")
    return plain


def read_url(value: str) -> str:
    """An address that can be asked for."""
    if not re.fullmatch(r"https?://[^\s/@]+(/\S*)?", value):
        raise ValueError("expected https://HOST/PATH, without a password in it")
    return value


Inside = Annotated[str, AfterValidator(read_inside)]


class FileCheck(Part):
    """A file of the workspace. An empty one counts as missing."""

    path: Inside = Field(description="Relative to the workspace, such as out/report.csv.")
    sha256: Annotated[str, AfterValidator(read_sha256)] = Field("", description="The hash that its content must have.")
    pattern: str = Field("", description="A regular expression that its text must contain.")
    absent: bool = Field(False, description="It must not be there.")

    @model_validator(mode="after")
    def _one(self) -> "FileCheck":
        if self.absent and (self.sha256 or self.pattern):
            raise ValueError("a file that must be absent has no content to look at; leave out 'sha256' and 'pattern'")
        return self


class JsonCheck(Part):
    """A JSON file of the workspace."""

    path: Inside = Field(description="Relative to the workspace, such as result.json.")
    schema_: dict[str, Any] = Field(alias="schema", description="The JSON Schema that it must be valid for.")


class HttpCheck(Part):
    """An address outside, asked for by the host. Addresses of private networks only where `[network] private` says so."""

    url: Annotated[str, AfterValidator(read_url)] = Field(description="Such as https://example.com/health.")
    status: int = Field(200, ge=100, le=599, description="The status that it must answer with.")
    body: str = Field("", description="A regular expression that the body must contain.")
    within: Duration = Field(20.0, description="How long it may take until it answers like that, such as 20s.")


class ReportCheck(Part):
    """A test report in JUnit's XML, which the check's own command must write: what was there before is removed."""

    path: Inside = Field(description="Where the command writes it, such as report.xml.")
    tests: int = Field(1, ge=1, description="The least number of tests that must have been run.")
    skipped: int = Field(0, ge=0, description="How many may have been skipped.")


KINDS = ("run", "serve", "file", "json", "http", "untouched", "script")


class Check(Part):
    """One thing that the host looks at when the agent says nothing more is to be done: a command in the sandbox (with
    the report of its tests, perhaps), a server, a file, a JSON file, an address, files that must be left alone, or a script
    over what the other checks saw."""

    run: str | None = Field(None, min_length=1, description="A shell command.")
    serve: str | None = Field(
        None, min_length=1, description="In place of run: a shell command that goes on and serves."
    )
    probe: ProbeSpec | None = Field(None, description="With serve: what the server must answer.")
    expect: Expect = Field(
        default_factory=lambda: Expect.model_validate({}),
        description="What it must show; exit code 0 unless said otherwise.",
    )
    timeout: Duration | None = Field(None, description="Most time, such as 60s; the sandbox's otherwise.")
    report: ReportCheck | None = Field(None, description="With run: the test report that it must write.")
    file: FileCheck | None = Field(None, description="In place of run: a file.")
    json_: JsonCheck | None = Field(None, alias="json", description="In place of run: a JSON file.")
    http: HttpCheck | None = Field(None, description="In place of run: an address outside.")
    untouched: tuple[str, ...] | None = Field(
        None, description="In place of run: files that the task must not have changed, such as tests/*.py."
    )
    script: str | None = Field(
        None,
        min_length=1,
        description="In place of run: an expression over `checks` and `changed`, or a function check(seen); it runs last.",
    )
    proves: tuple[int, ...] = Field(
        (), description="The criteria that it proves, counted from 1: a supervisor finds these met by it alone."
    )

    @model_validator(mode="after")
    def _one(self) -> "Check":
        given = [kind for kind in KINDS if self._of(kind) is not None]
        if len(given) != 1:
            has = " and ".join(given) or "none"
            raise ValueError(f"a check has exactly one of {', '.join(KINDS)}; this one has {has}")
        if (self.serve is None) != (self.probe is None):
            raise ValueError("'serve' and 'probe' go together: the server, and what it must answer")
        if self.report is not None and self.run is None:
            raise ValueError("'report' goes with 'run': the command that writes it")
        if self.untouched is not None and not self.untouched:
            raise ValueError("'untouched' names files, such as tests/*.py")
        return self

    def _of(self, kind: str) -> Any:
        return self.json_ if kind == "json" else getattr(self, kind)

    @property
    def kind(self) -> str:
        """Which it is."""
        return next(kind for kind in KINDS if self._of(kind) is not None)

    @property
    def line(self) -> str:
        """It in a line: the shell command, or what is looked at."""
        if self.file is not None:
            return f"{'no file' if self.file.absent else 'file'} {self.file.path}"
        if self.json_ is not None:
            return f"JSON {self.json_.path}"
        if self.http is not None:
            return f"GET {self.http.url}"
        if self.untouched is not None:
            return f"untouched {' '.join(self.untouched)}"
        return self.run or self.serve or " ".join((self.script or "").split())

    @property
    def look(self) -> Look | None:
        """What the host looks at, where it runs no code for it."""
        if self.file is not None:
            return FileLook(self.file.path, self.file.sha256, self.file.pattern, self.file.absent)
        if self.json_ is not None:
            return JsonLook(self.json_.path, self.json_.schema_)
        if self.http is not None:
            return HttpLook(self.http.url, self.http.status, self.http.body, self.http.within)
        return FilesLook(most=0) if self.untouched is not None else None

    def wanted(self) -> ReportLook | None:
        """The report that its command must write."""
        return ReportLook(self.report.path, self.report.tests, self.report.skipped) if self.report else None
