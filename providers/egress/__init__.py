"""The way out of the machine: checked addresses, connections, headers, HTTP and mail."""
