"""An agent that plays what A2A's public conformance suites ask for: the Technology Compatibility Kit keys behaviour on the
beginning of a message's id, ACTS on the beginning of its text.

    python -m agenthost.testing.a2a_tck FOLDER      # writes a home
    AGENTHOST_HOME=FOLDER agenthost up              # then run the suite against http://127.0.0.1:8484
"""
