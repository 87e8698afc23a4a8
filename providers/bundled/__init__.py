"""Functions of bundles: code that others have uploaded, run isolated, whose calls the worker makes."""
