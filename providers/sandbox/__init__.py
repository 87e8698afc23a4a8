"""Programs that nobody vouches for: isolated, limited and watched."""
