"""How people come in: passwords, sign-in links, browser sessions, OpenID providers.

Here is decided who somebody is; what they may do then is decided in `host.guarded` and `host.administrator`. Used by
`host.host`, and by the sign-in page of faces. Secrets, passwords and codes are in no log and no error text.
"""
