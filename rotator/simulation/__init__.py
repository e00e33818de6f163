"""Runs the daemon's loop over simulated years, with a simulated clock and keysets in memory."""
