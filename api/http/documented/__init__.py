"""What the OpenAPI document says of operations, beyond their shapes."""
