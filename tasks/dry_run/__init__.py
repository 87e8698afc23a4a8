"""The dry run of a whole playbook: what each step would do, without doing it."""
