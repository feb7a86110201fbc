"""A scripted server that speaks OpenAI's API: Chat Completions and Responses, streamed and whole, and /v1/models.

It answers by a playbook (`agenthost.models.playbook`) and misbehaves where the playbook says `fail`; or as a small model
(`mind.py`) that can do what a probe asks, and lies as it is told to. Run it as
`python -m agenthost.testing.openai_server --playbook FILE --record DIR`, hold it with `process.OpenAIServer`
(a child process), or serve it inside a test's own loop with `service.serving`.
"""
