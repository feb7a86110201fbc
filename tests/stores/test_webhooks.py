"""Every keeper of webhooks by the suite."""

from stores.twins import InMemory, InSQLite

from agenthost.testing.webhooks import WebhooksSuite


class TestMemory(InMemory, WebhooksSuite):
    pass


class TestSQLite(InSQLite, WebhooksSuite):
    pass
