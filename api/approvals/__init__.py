"""Approvals: lists, decisions, links that decide, and the page behind a link."""
