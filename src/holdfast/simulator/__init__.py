"""A telco with a known truth: customers to try the product on, and the probability that made each label.

What a world *is* (its columns and how they hang together) and what *happens* in it (the truth) are two
files, so that a richer world can replace one of them: `snapshot` draws one table of customers, `truth` gives
each its log-odds from what the table shows, `files` writes both. The truth leaves this room only through
the oracle, a file marked so that `holdfast.sources` refuses it; no room below may import this one.

`telco` is the richer world: customers who live month by month, and what a business's tables show of it.
"""

from holdfast.simulator.files import ORACLE_MARK, write
from holdfast.simulator.snapshot import MAX_CUSTOMERS, Snapshot, simulate

__all__ = ["MAX_CUSTOMERS", "ORACLE_MARK", "Snapshot", "simulate", "write"]
