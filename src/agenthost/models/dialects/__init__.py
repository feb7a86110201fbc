"""Makes any model call tools: by the provider's own mechanism, by output held to a JSON schema, or by text in fences.

What is asked is dressed for the model and what it answers is undressed, by pure functions; `fitted.Fitted` puts them
around any model behind the port. Nothing here makes arguments up: what can't be known stays text, or is a call whose
arguments are left malformed, so that the model is told.
"""
