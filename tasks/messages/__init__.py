"""The broker's side: messages made, published, put back, and counted."""
