"""Results -> text for people. Values in, lines and tables out; prints nothing.

Rule to remember: whatever comes from a file goes through `text.printable` before it is shown.
`inspection` is the only module here that loads rich.
"""
