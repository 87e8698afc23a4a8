"""Every way in: triggered actions, started runs, reported events; each accepted once."""
