"""How the schema came to be, one file a step. Run by `holdfast.store.schema.upgrade`."""
