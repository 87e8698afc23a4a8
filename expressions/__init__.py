"""The sandbox in which what users write is evaluated: templates over plain data, nothing else. No I/O."""
