"""Makes an API key: ``python -m launcher.key``.

Options are ``--workspace ID``, ``--role ROLE``, ``--name NAME`` and ``--tenants PATTERNS``. This is the way to the
first key of an installation; more can be made through the API. Standard output is the key and nothing else, and it is
shown this once. The workspace is made unless it is there.
"""

import argparse
import sys

from launcher.user import tenants
from store import access
from store.engine import db, refusals


def make(workspace: str, role: str, name: str, grants: str | None = None) -> str:
    """A new key.

    Raises:
        Unavailable: the database cannot be reached or has no tables yet.
    """
    with db.write() as connection:
        access.ensure_workspace(connection, workspace, workspace)
        _, key = access.create_key(
            connection,
            workspace_id=workspace,
            name=name,
            role=role,
            scopes=[],
            expires_at=None,
            actor="command-line",
            grants=grants,
        )
    return key


def main(arguments: list[str]) -> int:
    """Print a new key."""
    parser = argparse.ArgumentParser(prog="python -m launcher.key", description="Make an API key and print it once.")
    parser.add_argument("--workspace", default="default", help="whose key it is (default: %(default)s)")
    parser.add_argument("--role", default="admin", choices=sorted(access.ROLES), help="default: %(default)s")
    parser.add_argument("--name", default="command line", help="what the key is listed as")
    parser.add_argument("--tenants", type=tenants, help="'*' or names, with commas (default: the workspace)")
    wanted = parser.parse_args(arguments)
    with refusals.one_line():
        key = make(wanted.workspace, wanted.role, wanted.name, wanted.tenants)
    print(key)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
