"""Outside calls: checked addresses, connections, headers, HTTP and mail."""
