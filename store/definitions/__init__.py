"""What is kept in versions: actions, playbooks and the documents they were imported from."""
