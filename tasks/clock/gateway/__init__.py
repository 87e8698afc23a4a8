"""What the gateway lets happen as time passes."""
