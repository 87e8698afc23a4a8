"""Rules: written, checked, compiled, and asked for a verdict."""
