"""The web server of a process: from the bytes of a request to those of its answer."""
