"""What runs a history's SQL: DuckDB over files, and databases where the tables live."""
