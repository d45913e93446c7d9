"""What only a cache in this process can promise."""
