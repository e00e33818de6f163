"""Modules that only the daemon uses: its control loop, its pages, and its part in the leader election."""
