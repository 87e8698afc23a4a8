"""What definitions of actions and playbooks mean, the plan of a run, and how far it has come. No I/O."""
