"""Processes between noise and data, and between frames. None of them sees a network, only a function."""
