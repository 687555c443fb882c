"""What every room stands on: errors, clock, log, metrics, secrets, limits, services."""
