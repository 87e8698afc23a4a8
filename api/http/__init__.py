"""Shared by all routes: callers, bodies, limits, pages, errors, the OpenAPI document."""
