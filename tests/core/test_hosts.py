import pytest

from agenthost.core.hosts import HostRule, read_host


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        ("api.example.com", HostRule("api.example.com", False, (443, 80))),
        ("API.Example.com.", HostRule("api.example.com", False, (443, 80))),
        ("*.example.com", HostRule("example.com", True, (443, 80))),
        ("*.example.com:8443", HostRule("example.com", True, (8443,))),
        ("host:8443", HostRule("host", False, (8443,))),
        ("xn--bcher-kva.example", HostRule("xn--bcher-kva.example", False, (443, 80))),
    ],
)
def test_a_host_is_read(entry: str, rule: HostRule) -> None:
    assert read_host(entry) == rule


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("*", "grant too much"),
        ("*:443", "grant too much"),
        ("*.com", "grant too much"),
        ("a.*.com", "another place"),
        ("api*.example.com", "another place"),
        ("10.0.0.1", "an address"),
        ("10.0.0.0/8", "more than a host"),
        ("0x7f.1", "an address"),
        ("2130706433", "an address"),
        ("127.1", "an address"),
        ("[::1]", "an address"),
        ("::1", "an address"),
        ("fe80::1", "an address"),
        ("https://api.example.com", "more than a host"),
        ("api.example.com/v1", "more than a host"),
        ("api.example.com:", "no port"),
        ("api.example.com:0", "no port"),
        ("api.example.com:70000", "no port"),
        ("api.example.com:443-445", "no port"),
        ("localhost", "sandbox itself"),
        ("a.localhost", "sandbox itself"),
        ("", "no host name"),
        ("bücher.example", "no host name"),
        ("a..b", "no host name"),
        ("-a.example", "no host name"),
        ("a b.example", "no host name"),
        ("a" * 64 + ".example", "no host name"),
    ],
)
def test_what_is_no_host_says_what_to_write(entry: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_host(entry)


def test_a_wildcard_stands_for_what_is_below_and_not_for_itself() -> None:
    rule = read_host("*.example.com")
    assert rule.names("a.example.com") and rule.names("a.b.example.com")
    assert (
        not rule.names("example.com") and not rule.names("badexample.com") and not rule.names("example.com.evil.test")
    )
