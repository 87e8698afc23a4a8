"""Shapes of runs with several calls, the same for every product.

The sequence (W1): calls one after the other, each with the answer to its predecessor. The fan (W3): parallel
calls, then one more with the answer to the last of them.
"""

SEQUENCE = 5
ARMS = 50
LENGTHS = (5, 50, 500)  # of the chains whose cost per step is compared
