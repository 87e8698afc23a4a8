"""Every error code: what it means and what to do."""
