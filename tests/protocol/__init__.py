"""A model of what keeps entries coherent on a server, checked over every order of events.

``docs/internals/protocol.md`` tells what is modelled, what is checked, and how to run all of it.
"""
