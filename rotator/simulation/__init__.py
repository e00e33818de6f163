"""The daemon's own loop over years, with a clock that jumps and keysets in memory."""
