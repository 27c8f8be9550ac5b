"""What every process says of itself: log lines, metrics, health and traces."""
