"""Events in other systems, reported to the playbooks that listen."""
