"""The client, written once, asynchronously; ``sdk/tools/sync.py`` derives ``tocsin/_sync`` from it."""
