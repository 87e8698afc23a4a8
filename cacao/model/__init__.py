"""What a CACAO 2.0 document is: its vocabulary, its objects, its variables and conditions."""
