"""The single guesses that `holdfast.contract.infer` puts together, each with its reason in words."""
