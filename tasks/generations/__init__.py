"""The gateway's configuration: loaded from the folder, changed by requests, obeyed by every process."""
