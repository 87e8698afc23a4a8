"""Around a fork: what is imported before it, what must not be in the middle of it, and the API as a child."""
