"""Every way in: actions triggered, runs started, events reported; each accepted once."""
