"""A telco whose customers live, month by month, with a hidden hazard: four tables and the truth about them.

Each file is about one thing: `calendar` what happens to everybody, `places` and `people` who the customers
are, `traits` what that means, `hazard` why they leave, `chains` how their state moves, `life` what happens to
them, `oracle` the true probability, `subscriptions`, `transactions` and `tickets` what the business's tables
show of it and when (`clocks`), `world` all of that block by block, `files`, `contract` and `postgres` where
it goes.
"""

from holdfast.simulator.telco.files import Written, write_world
from holdfast.simulator.telco.postgres import COPIED, copy_into, expect_room
from holdfast.simulator.telco.world import World

__all__ = ["COPIED", "World", "Written", "copy_into", "expect_room", "write_world"]
