"""Processes between noise and data, and between one frame and the next; none of them sees a network, only a function."""
