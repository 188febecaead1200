"""Paths <-> bytes, scenes and views: what the command line and `gscodec.load` have in common.

Rule to remember: what is read is checked whole before it is believed, what is written is there
complete or not at all.
"""
