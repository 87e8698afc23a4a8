"""Recorded executions decided again by other rules, in memory alone: nothing is counted, kept or sent."""
