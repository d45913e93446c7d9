"""The documentation's own examples, typed in as they stand."""
