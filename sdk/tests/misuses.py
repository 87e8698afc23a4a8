"""Six mistakes that type checkers must find, each on a line with ``# misuse``; nothing here runs."""

from __future__ import annotations

from tocsin import AsyncClient, Client


def mistakes(client: Client) -> None:
    """Mistakes of the kind that people make."""
    print(client.runs.get("pexec-1").stauts)  # misuse: no such member
    client.runs.list(status=["finished"])  # misuse: no such status
    client.actions.trigger("act-block", target=7)  # misuse: an asset is a text
    client.playbooks.run("pb-a", dryrun=True)  # misuse: no such keyword
    client.runs.get("pexec-1").status = "completed"  # misuse: answers are read-only


async def unawaited(client: AsyncClient) -> None:
    """Half of a call."""
    print(client.runs.get("pexec-1").status)  # misuse: not awaited
