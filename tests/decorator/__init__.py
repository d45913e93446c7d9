"""The decorator, one subject a file."""
