"""The resources of the API: one class each, one method for each operation."""
