"""Where entries are kept: :mod:`cachine.backends.inmemory`."""
