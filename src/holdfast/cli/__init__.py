"""The command line. Each command reads its options, calls one room, and shows what it gave back.

Decides nothing and computes nothing. Rooms are imported inside the commands that need them, so that
``holdfast --help`` is instant. One file a command; `main` collects them and turns every failure into one
readable block and an exit code; `session` holds what all commands share.
"""
