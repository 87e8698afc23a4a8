"""What every route shares: who asks, the body, limits, pages, errors, and the OpenAPI document."""
