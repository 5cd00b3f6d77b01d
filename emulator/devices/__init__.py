"""What a chip has besides its processor and memory, as far as firmware needs it to run."""
