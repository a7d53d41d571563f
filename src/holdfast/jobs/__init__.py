"""Files scored in the background as durable workflows: they survive a kill, resume, can be cancelled.

The only room that knows DBOS.
"""
