"""What a criterion's words are about, as far as a program can tell: files, runs, tests, failing."""

import re

_ENDINGS = (
    "py|pyi|js|ts|tsx|jsx|mjs|css|html?|md|rst|txt|csv|tsv|json|jsonl|ya?ml|toml|xml|ini|cfg|conf|sh|sql|c|h|cpp|hpp|cc|rs|go|"
    "java|kt|rb|php|pl|lua|r|ipynb|pdf|png|jpe?g|gif|svg|webp|zip|tar|gz|log|lock|env|docx?|xlsx?|pptx?|parquet|db|sqlite|wav|mp[34]"
)
_PATH = re.compile(rf"(?<![\w/.:-])((?:[\w-]+/)*[\w-]*\.?[\w-]+\.(?:{_ENDINGS}))(?![\w/])")
_PRODUCT = re.compile(r"^[A-Z][a-z]+\.js$")
_GONE = re.compile(
    r"(?i)\b(no|without|never|not?|remove[sd]?|delete[sd]?|absent|gone|missing|exclude[sd]?|instead of|renamed|moved)\b"
)
_GONE_AFTER = re.compile(
    r"(?i)[\s`'\",)]*(?:(?:and|or)\s+[`'\"]*[\w./-]+[`'\"]*\s+)*(?:(?:is|are|was|were|has|have|had|been|be|must|should|may|shall|can|now|also|"
    r"both|all|gets?|got|files?)\s+)*(?:removed|deleted|absent|gone|missing|excluded?|renamed|moved|no longer|(?:do|does|did)(?:n't| not) "
    r"(?:exist|remain)|(?:not|never)\s+(?:be\s+|been\s+)?(?:there|exist\w*|present|left|kept|in|part|created|written|needed|used|touched))\b"
)
_DOCUMENT = re.compile(r"\.(md|rst|txt|html?|pdf|docx?)$", re.I)
_PASSING = (
    r"\b(tests?|suite|specs?)\b.{0,40}\b(pass|passes|passed|succeeds?|green|run|runs|ran)\b|\btest\S*\.\w+\b.{0,20}\bpass(es|ed)?\b|\btests?\b.{0,20}\b(laufen|bestehen|bestanden|grün)"
    r"|\btests?\b.{0,20}\b(passent|réussissent)|\b(pruebas|tests)\b.{0,20}\b(pasan|pasen)|\bтест\w*.{0,20}\b(проход|пройд|прош)|测试.{0,6}(通过|成功)|テスト.{0,6}(通|成功|合格)"
)
_DONE_BY_RUNNING = re.compile(
    rf"{_PASSING}|\b(runs?|works?|executes?|starts?)"
    r" (without|cleanly|with no|to the end)\b|\bexits? with\b|\bprints?\b|\bcompiles?\b|\bbuilds? (without|cleanly|passes)\b",
    re.I,
)
_TESTS = re.compile(_PASSING, re.I)
_GIVEN = re.compile(r"\b(given|existing|original|provided)\b.{0,20}\b(tests?|suite|specs?)\b", re.I)
_TEST_FILE = re.compile(r"(^|/)(test_[^/]*|[^/]*_test|[^/]*[.-](test|spec)|conftest)\.\w+$")
_CHANGING = re.compile(r"\b(new|add\w*|extend\w*|updat\w*|chang\w*|rewrit\w*|cover\w*|more)\b", re.I)
_HARMLESS = re.compile(
    r"\b(?:without|no|not|never|nor|or|zero|0|doesn't|free of)\s+(?:(?:any|an?|other)\s+)?(?:error|fail|crash|exception|abort|problem)\w*"
    r"|\b(?:exit\w*|status|code)(?: code| status)?(?: with)?(?: code| status)?(?: of| is)? (?:0|zero|2\d\d)\b",
    re.I,
)
_FAILING = re.compile(r"\b(exit|fail|error|refus|reject|invalid|non-?zero|abort|status|crash|raises?)\w*", re.I)


def named(criterion: str) -> list[str]:
    """The files that a criterion names."""
    return [path for path in dict.fromkeys(_PATH.findall(criterion)) if not _PRODUCT.match(path)]


def gone(criterion: str, path: str) -> bool:
    """Whether a criterion speaks of a file that is to be gone, so far as words beside its name tell."""
    before, _, after = criterion.partition(path)
    return bool(_GONE.search(" ".join(before.split()[-3:])) or _GONE_AFTER.match(after))


def to_be_run(criterion: str) -> bool:
    """Whether a criterion is about something that has to be run, and not about what a document says of that."""
    found = _DONE_BY_RUNNING.search(criterion)
    documents = [criterion.find(path) for path in named(criterion) if _DOCUMENT.search(path)]
    return found is not None and (not documents or found.end() <= min(documents))


def of_tests(criterion: str) -> bool:
    """Whether it is about tests that pass."""
    return _TESTS.search(criterion) is not None


def of_failing(criterion: str) -> bool:
    """Whether something is to fail, and not to do without."""
    return _FAILING.search(_HARMLESS.sub(" ", criterion)) is not None


def protects(criterion: str, path: str) -> bool:
    """Whether tests that are to pass are those that were given with the work, a file of that path among them: it says so,
    or names the file, and speaks of no change to them."""
    if not (of_tests(criterion) and _TEST_FILE.search(path)) or _CHANGING.search(criterion):
        return False
    return _GIVEN.search(criterion) is not None or any(matches(name, path) for name in named(criterion))


def matches(name: str, path: str) -> bool:
    """Whether a file is the one that is named, whatever folder it is in."""
    return path == name or path.endswith(f"/{name}")
