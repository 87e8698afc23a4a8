"""Every stable word by which an error is told apart, with what it means and what to do."""
