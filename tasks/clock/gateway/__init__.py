"""What time does to the events of the gateway."""
