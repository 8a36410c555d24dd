"""taskmaster keeps a machine's programs running and tells the truth about what failed and why."""

__version__ = "0.1.0"
