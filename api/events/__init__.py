"""Events: what happened elsewhere, reported to the playbooks that listen."""
