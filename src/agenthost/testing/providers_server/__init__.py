"""A scripted server that speaks Anthropic's Messages API and Gemini's generateContent, streamed and whole.

It answers by a playbook (`agenthost.models.playbook`), checks what the real ones check (keys, pairs of calls and
results, signatures of thinking), and misbehaves where the playbook says `fail`. Run it as
`python -m agenthost.testing.providers_server --playbook FILE --record DIR`, hold it with `OpenAIServer(...,
module="agenthost.testing.providers_server")`, or serve it inside a test's own loop.
"""
