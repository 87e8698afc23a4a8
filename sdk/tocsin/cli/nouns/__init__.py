"""The nouns of the command line with their verbs."""
