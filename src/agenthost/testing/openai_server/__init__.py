"""A scripted server that speaks OpenAI's API: Chat Completions and Responses, streamed and whole, and /v1/models.

It answers by a playbook (`agenthost.models.playbook`) and misbehaves where the playbook says `fail`. Run it as
`python -m agenthost.testing.openai_server --playbook FILE --record DIR`, hold it with `process.OpenAIServer`
(a child process), or serve it inside a test's own loop with `service.serving`.
"""
