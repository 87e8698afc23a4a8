"""The gate in front of every outside call: ``judge`` decides, ``checks`` remembers exactly."""
