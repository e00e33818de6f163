"""Effects behind small protocols: looks, writes, gates, the loop, the election. No library is imported here."""
