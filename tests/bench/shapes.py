"""The shapes of the runs of several calls, the same for every product.

The sequence (W1): calls one after the other, each with what was answered to the one before. The fan (W3): calls
side by side, then one more that brings what was answered to the last of them.
"""

SEQUENCE = 5
ARMS = 50
LENGTHS = (5, 50, 500)  # of the chains whose cost per step is compared
