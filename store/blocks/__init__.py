"""The sealed audit trail: blocks of settled rows, each a Merkle tree, chained and signed."""
