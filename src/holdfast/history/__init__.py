"""From event tables to a table of (customer, as_of): who was a customer, what was known, who then left.

`prepare` reads the sources into typed tables, `spine` says who is a customer when, `labels` who then left,
`features` what was known. All three are SQL under two clocks: when something happened, and when it became
known. May import `holdfast.quality`, `holdfast.sources` and the contract. No row here may depend on anything
known after its as_of, except its label.
"""
