"""The HTTP door: asks the champion, in the words of its contract.

It translates and decides nothing: a record that arrives as JSON is held against the contract and scored by
the same `holdfast.model.Model` as a file's rows, so its bits are the same. `app` puts the pieces together,
`live` holds the champion and follows promotions, `intake` turns JSON into tables, `scoring` is the one place
where a model is asked, `problems` words what went wrong.

Nothing is imported here: a process that only logs as the server does need not wait for the rest.
"""
