"""What a definition means: actions and their parameters, checked before anything runs. No I/O."""
