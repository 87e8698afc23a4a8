"""The executors: HTTP, mail, chat, scripts, people.

No other code makes outside calls.
"""
