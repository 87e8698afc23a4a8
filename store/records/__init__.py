"""The records of what was carried out or decided: listed, noted where no execution was made, and measured."""
