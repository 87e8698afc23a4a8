"""Commands that work on this machine: profiles, the doctor, help, trials of actions."""
