"""What content that a stranger can have written decides: of a call, which values and whether it is made at all.

`words` looks up what a person and the manifest said, `values` takes a call's arguments apart, `chosen` finds what
stands in results without anyone's doing (a link, a record that the person meant), `intent` tells whether the
person's words ask for a tool, `rule` joins them into doubts, `asking` puts these to a person. All of it is pure:
nothing here knows an agent, a workflow or a model. docs/untrusted.md says what is guaranteed.
"""
