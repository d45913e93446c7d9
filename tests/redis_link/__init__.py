"""The link of an event loop, below every operation of a cache."""
