"""The two commands on a bare machine: sets up, starts every process of the Procfile, shows the demo, stops."""
