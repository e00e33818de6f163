"""What only the daemon has: its control loop, its pages, and its part in the leader election."""
