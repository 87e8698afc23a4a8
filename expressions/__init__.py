"""What users write is evaluated here: templates and conditions over plain data. No I/O."""
