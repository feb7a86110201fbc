"""What comes with AgentHost can be run in a home that has never seen it."""

from agenthost.cli.shipped import defining
from agenthost.manifests.load import validate


def test_the_main_job_and_its_agents_are_found_by_name() -> None:
    for name in ("sketch-to-code", "coder", "sketch-reader", "checker"):
        manifests, problems = validate(defining(name))

        assert not problems
        assert name in {manifest.metadata.name for manifest in manifests}


def test_an_unknown_name_defines_nothing() -> None:
    assert defining("nobody") == {}
