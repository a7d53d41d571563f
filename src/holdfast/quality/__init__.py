"""Hold a table against the contract: repair, reject with reasons, report.

`conform` is the one door that every table passes, from training, files, requests and notebooks alike;
`table` makes the training table; `report` explores it for people. Nothing here knows of any business.
"""
