"""The configuration folder: rules, providers, circuit breakers and chains as one generation."""
