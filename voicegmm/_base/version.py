"""The version of voicegmm: what files and run folders say made them."""

__version__ = "0.1.0"
