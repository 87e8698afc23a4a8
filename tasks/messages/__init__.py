"""The broker's side: messages composed, published, requeued and counted."""
