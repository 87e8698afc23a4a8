"""Streams: what the audit trail records, sent to callers as it is recorded.

In order of time a request takes one of its owner's places (``places``) and joins the one reader of its process
(``follow``), which runs only while there are clients. A client that names the last event that it had is sent what it
has missed (``missed``); then it is sent what the reader reads, until it leaves (``sending``). ``messages`` makes events
of rows.
"""
