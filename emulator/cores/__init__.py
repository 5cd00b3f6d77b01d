"""One microarchitecture a file: tables with a source per entry, and the rules that combine them."""
