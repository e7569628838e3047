"""What the gateways tell when they are asked, and what it says: counts, windows, metrics."""
