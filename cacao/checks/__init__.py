"""Checks of a document: its structure, order, references, consistency and signatures."""
